import { randomUUID } from 'node:crypto';
import type { Duplex } from 'node:stream';
import type { sendUnaryData, ServerUnaryCall } from '@grpc/grpc-js';
import type Docker from 'dockerode';
import type { CredentialsOf } from './registry-name.ts';
import { dial } from './wire.ts';

export interface BuildSession extends AsyncDisposable {
  readonly id: string;
}

const credentialsMethod = '/moby.filesync.v1.Auth/Credentials';
const healthMethod = '/grpc.health.v1.Health/Check';

/**
 * A connection on which BuildKit asks us while it builds: for the credentials of the registry that it
 * talks to, host by host, and for nothing else. (Docker's client library would give one credential to every host.)
 */
export async function openSession(
  docker: Docker,
  credentialsOf: CredentialsOf,
  signal: AbortSignal,
): Promise<BuildSession> {
  const [grpc, { default: protobuf }] = await Promise.all([import('@grpc/grpc-js'), import('protobufjs')]);
  const root = protobuf.Root.fromJSON({ nested: messages });
  const request = root.lookupType('CredentialsRequest');
  const response = root.lookupType('CredentialsResponse');
  const id = randomUUID();
  const socket = await dial<Duplex>(docker, {
    method: 'POST',
    path: '/session',
    hijack: true,
    abortSignal: signal,
    headers: {
      Upgrade: 'h2c',
      'X-Docker-Expose-Session-Uuid': id,
      'X-Docker-Expose-Session-Name': 'slipway',
      'X-Docker-Expose-Session-Grpc-Method': credentialsMethod,
    },
    statusCodes: { 200: true },
  });
  // The engine closes the connection when it likes; a build that still needs it fails by itself.
  socket.on('error', () => {});

  const server = new grpc.Server();
  server.addService(
    {
      credentials: {
        path: credentialsMethod,
        requestStream: false,
        responseStream: false,
        requestDeserialize: (bytes: Buffer) => (request.decode(bytes) as unknown as { Host: string }).Host,
        requestSerialize: (host: string) => Buffer.from(request.encode({ Host: host }).finish()),
        responseSerialize: (value: object) => Buffer.from(response.encode(value).finish()),
        responseDeserialize: (bytes: Buffer) => response.decode(bytes),
      },
      // BuildKit asks every second whether the session is well, and ends it if nobody answers.
      health: {
        path: healthMethod,
        requestStream: false,
        responseStream: false,
        requestDeserialize: (bytes: Buffer) => bytes,
        requestSerialize: (bytes: Buffer) => bytes,
        responseSerialize: (bytes: Buffer) => bytes,
        responseDeserialize: (bytes: Buffer) => bytes,
      },
    },
    {
      credentials(call: ServerUnaryCall<string, object>, answer: sendUnaryData<object>) {
        const found = credentialsOf(call.request === 'registry-1.docker.io' ? 'docker.io' : call.request);
        answer(null, found ? { Username: found.username, Secret: found.password } : {});
      },
      health(_call: ServerUnaryCall<Buffer, Buffer>, answer: sendUnaryData<Buffer>) {
        answer(null, healthy);
      },
    },
  );
  const injector = server.createConnectionInjector(grpc.ServerCredentials.createInsecure());
  injector.injectConnection(socket);
  return {
    id,
    async [Symbol.asyncDispose]() {
      injector.destroy();
      server.forceShutdown();
      socket.destroy();
    },
  };
}

/** HealthCheckResponse with status SERVING. */
const healthy = Buffer.from([0x08, 0x01]);

// moby.filesync.v1 (https://github.com/moby/buildkit/blob/master/session/auth/auth.proto)
const messages = {
  CredentialsRequest: { fields: { Host: { type: 'string', id: 1 } } },
  CredentialsResponse: { fields: { Username: { type: 'string', id: 1 }, Secret: { type: 'string', id: 2 } } },
};
