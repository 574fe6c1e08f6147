import type { Type } from 'protobufjs';

/** What BuildKit tells of a build in one message. Times are milliseconds since the epoch. */
export interface BuildStatus {
  readonly vertexes: readonly Vertex[];
  readonly statuses: readonly Transfer[];
  readonly logs: readonly { readonly vertex: string; readonly bytes: Buffer }[];
}

/** A node of the build's graph: an instruction of the Dockerfile, or something internal. */
export interface Vertex {
  readonly digest: string;
  readonly name: string;
  readonly cached: boolean;
  readonly startedAt: number | null;
  readonly completedAt: number | null;
  readonly error: string;
}

/** Something that is moved for a vertex: a layer of the base image, say. */
interface Transfer {
  readonly id: string;
  readonly vertex: string;
  readonly bytes: number;
}

/** Reads the `aux` of a record named `moby.buildkit.trace`. */
export type TraceDecoder = (aux: string) => BuildStatus;

/** The decoder, loaded when the first image is built: the server's start doesn't wait for it. */
export async function loadTraceDecoder(): Promise<TraceDecoder> {
  const { default: protobuf } = await import('protobufjs');
  const type = protobuf.Root.fromJSON({ nested: messages }).lookupType('StatusResponse');
  return (aux) => decode(type, aux);
}

function decode(type: Type, aux: string): BuildStatus {
  const message = type.toObject(type.decode(Buffer.from(aux, 'base64')), {
    arrays: true,
    defaults: true,
    longs: Number,
  }) as RawStatus;
  return {
    vertexes: message.vertexes.map((vertex) => ({
      digest: vertex.digest,
      name: vertex.name,
      cached: vertex.cached,
      startedAt: milliseconds(vertex.started),
      completedAt: milliseconds(vertex.completed),
      error: vertex.error,
    })),
    statuses: message.statuses.map((status) => ({ id: status.ID, vertex: status.vertex, bytes: status.current })),
    logs: message.logs.map((log) => ({ vertex: log.vertex, bytes: Buffer.from(log.msg) })),
  };
}

function milliseconds(time: RawTime | null): number | null {
  return time ? time.seconds * 1000 + Math.round(time.nanos / 1e6) : null;
}

interface RawTime {
  readonly seconds: number;
  readonly nanos: number;
}

interface RawStatus {
  readonly vertexes: readonly {
    readonly digest: string;
    readonly name: string;
    readonly cached: boolean;
    readonly started: RawTime | null;
    readonly completed: RawTime | null;
    readonly error: string;
  }[];
  readonly statuses: readonly { readonly ID: string; readonly vertex: string; readonly current: number }[];
  readonly logs: readonly { readonly vertex: string; readonly msg: Uint8Array }[];
}

// The fields that are read, of moby.buildkit.v1.StatusResponse
// (https://github.com/moby/buildkit/blob/master/api/services/control/control.proto).
const messages = {
  StatusResponse: {
    fields: {
      vertexes: { rule: 'repeated', type: 'Vertex', id: 1 },
      statuses: { rule: 'repeated', type: 'VertexStatus', id: 2 },
      logs: { rule: 'repeated', type: 'VertexLog', id: 3 },
    },
  },
  Vertex: {
    fields: {
      digest: { type: 'string', id: 1 },
      name: { type: 'string', id: 3 },
      cached: { type: 'bool', id: 4 },
      started: { type: 'Timestamp', id: 5 },
      completed: { type: 'Timestamp', id: 6 },
      error: { type: 'string', id: 7 },
    },
  },
  VertexStatus: {
    fields: {
      ID: { type: 'string', id: 1 },
      vertex: { type: 'string', id: 2 },
      current: { type: 'int64', id: 4 },
    },
  },
  VertexLog: {
    fields: {
      vertex: { type: 'string', id: 1 },
      msg: { type: 'bytes', id: 4 },
    },
  },
  Timestamp: {
    fields: {
      seconds: { type: 'int64', id: 1 },
      nanos: { type: 'int32', id: 2 },
    },
  },
};
