import Docker from 'dockerode';

// node dev/ping-engine.ts: exits with 0 if a Docker engine answers within five seconds (DOCKER_HOST is honoured).
setTimeout(() => process.exit(1), 5000).unref();
try {
  await new Docker().ping();
} catch (error) {
  console.error(String(error));
  process.exit(1);
}
