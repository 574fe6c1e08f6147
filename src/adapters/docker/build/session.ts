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
const secretMethod = '/moby.buildkit.secrets.v1.Secrets/GetSecret';
const healthMethod = '/grpc.health.v1.Health/Check';

export interface SessionOptions {
  readonly credentialsOf: CredentialsOf;
  /** Values by the id under which an instruction mounts them; of any other id there is none. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/**
 * A connection on which BuildKit asks us while it builds: for the credentials of the registry that it talks to, host by
 * host, for the secrets that an instruction mounts, and for nothing else. (Docker's client library would give one credential
 * to every host, and no secrets.)
 */
export async function openSession(
  docker: Docker,
  { credentialsOf, secrets, signal }: SessionOptions,
): Promise<BuildSession> {
  const [grpc, { default: protobuf }] = await Promise.all([import('@grpc/grpc-js'), import('protobufjs')]);
  const root = protobuf.Root.fromJSON({ nested: messages });
  const request = root.lookupType('CredentialsRequest');
  const response = root.lookupType('CredentialsResponse');
  const secretRequest = root.lookupType('GetSecretRequest');
  const secretResponse = root.lookupType('GetSecretResponse');
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
      // Of what isn't named here the engine says to the build that there is none.
      'X-Docker-Expose-Session-Grpc-Method':
        Object.keys(secrets).length === 0 ? [credentialsMethod] : [credentialsMethod, secretMethod],
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
      secret: {
        path: secretMethod,
        requestStream: false,
        responseStream: false,
        requestDeserialize: (bytes: Buffer) => (secretRequest.decode(bytes) as unknown as { ID: string }).ID,
        requestSerialize: (id: string) => Buffer.from(secretRequest.encode({ ID: id }).finish()),
        responseSerialize: (value: object) => Buffer.from(secretResponse.encode(value).finish()),
        responseDeserialize: (bytes: Buffer) => secretResponse.decode(bytes),
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
      secret(call: ServerUnaryCall<string, object>, answer: sendUnaryData<object>) {
        const value = Object.hasOwn(secrets, call.request) ? secrets[call.request] : undefined;
        if (value !== undefined) return answer(null, { data: Buffer.from(value) });
        answer({ code: grpc.status.NOT_FOUND, details: `secret ${call.request} not found` });
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
  // moby.buildkit.secrets.v1 (https://github.com/moby/buildkit/blob/master/session/secrets/secrets.proto)
  GetSecretRequest: {
    fields: { ID: { type: 'string', id: 1 }, annotations: { keyType: 'string', type: 'string', id: 2 } },
  },
  GetSecretResponse: { fields: { data: { type: 'bytes', id: 1 } } },
  CredentialsResponse: { fields: { Username: { type: 'string', id: 1 }, Secret: { type: 'string', id: 2 } } },
};
