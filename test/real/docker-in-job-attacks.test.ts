import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { busyboxImage, docker, openSite, type Site } from './docker.ts';
import { dockerImage, dockerJob, leftovers, runJob, runSteps } from './docker-client.ts';

// Each is a job with many containers, on an engine that others use.
jest.setTimeout(180_000);

let site: Site;
let image: string;
let box: string;
/** Of the operator, on the same engine. */
let other: { readonly id: string; readonly name: string };
let host: string;
beforeAll(async () => {
  site = await openSite();
  [image, box] = [await dockerImage(), await busyboxImage()];
  host = await mkdtemp(join(tmpdir(), 'slipway-host-'));
  await writeFile(join(host, 'secret'), 'of the host\n');
  const name = `slipway-test-operator-${process.pid}`;
  const container = await docker.createContainer({ name, Image: box, Cmd: ['sleep', '600'] });
  await container.start();
  other = { id: container.id, name };
});
afterAll(async () => {
  await docker.getContainer(other.id).remove({ force: true });
  await rm(host, { recursive: true, force: true });
  await site.dispose();
});
afterEach(async () => expect(await leftovers(site)).toEqual([]));

const run = (...steps: readonly string[]) => runSteps(site, image, steps);
/** Says `refused`, or what the command printed. `docker rm -f` is content with a container that isn't there. */
const refused = (command: string) =>
  `if ${command} >out 2>&1 && ! grep -q 'No such container' out; then say LET THROUGH: $(cat out); else say refused; fi`;
const all = (commands: readonly string[]) => commands.map(() => 'refused');

describe('a hostile job', () => {
  it('gets nothing of the host by the way a container is made', async () => {
    const commands = [
      '-v /:/host',
      `-v ${host}:/host`,
      '-v /workspace/../etc:/host',
      '--mount type=bind,source=/,target=/host',
      '--mount type=volume,target=/h,volume-driver=local,volume-opt=type=none,volume-opt=o=bind,volume-opt=device=/',
      '--privileged',
      '--pid=host',
      '--ipc=host',
      '--uts=host',
      '--userns=host',
      '--network=host',
      '--cgroupns=host',
      `--network=container:${other.id}`,
      `--network=container:${other.name}`,
      `--pid=container:${other.name}`,
      `--ipc=container:${other.name}`,
      `--volumes-from=${other.name}`,
      '--cgroup-parent=/',
      '--device=/dev/kmsg',
      '--device-cgroup-rule="a *:* rwm"',
      '--cap-add=SYS_ADMIN',
      '--cap-add=ALL',
      '--security-opt=seccomp=unconfined',
      '--security-opt=apparmor=unconfined',
      '--security-opt=systempaths=unconfined',
      '--runtime=other',
      '--sysctl=kernel.msgmax=1',
      '--oom-score-adj=-1000',
      '--log-driver=syslog',
      '--label=slipway.job=other',
      `--link=${other.name}`,
    ];
    const lines = await run(...commands.map((option) => refused(`docker run --rm ${option} ${box} true`)));
    expect(lines.map((line, i) => `${commands[i]} ${line}`)).toEqual(commands.map((option) => `${option} refused`));
  });

  it('has no more powers in its containers than in its own', async () => {
    const lines = await run(
      `docker run --rm ${box} sh -c 'grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status; ls /dev | wc -l' >a; grep -E 'CapBnd|NoNewPrivs|Seccomp:' /proc/self/status >b; grep -c -F -x -f b a | told`,
      `docker run --rm ${box} cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max 2>/dev/null | told`,
      `docker run --rm ${box} mount -t tmpfs none /tmp 2>/dev/null || say no mount`,
    );
    expect(lines[0]).toBe('3');
    expect(lines).toContain('no mount');
    expect(lines.slice(1, -1)).toEqual([String(1024 ** 3), '512']);
  });

  it("has no more memory and processes in all its containers than the job's limit, however it starts them", async () => {
    const lines = await run(
      // Without limits of their own: some start, all together within the job's.
      `for i in $(seq 16); do docker run -d --name a$i ${box} sleep 300 >/dev/null 2>>err & done; wait`,
      `sum() { docker inspect -f "{{.HostConfig.$1}}" $(docker ps -q) | { n=0; while read -r one; do n=$((n + one)); done; say $n; }; }; sum Memory; sum PidsLimit`,
      'grep -q "mem_limit" err && say told how; docker ps -q | wc -l | told; docker rm -f $(docker ps -aq) >/dev/null',
      // Large ones, made first and then started, restarted, updated and unpaused at once.
      `for i in 1 2 3 4; do docker create --memory 3g --pids-limit 1500 --name b$i ${box} sleep 300; done >/dev/null`,
      'for i in 1 2 3 4; do docker start b$i & docker restart b$i & done >/dev/null 2>&1; wait; docker ps -q | wc -l | told',
      `docker run -d --memory 512m --pids-limit 100 --name small ${box} sleep 300 >/dev/null && say fits`,
      'docker update --memory 3g --memory-swap 3g small >/dev/null 2>&1 || say not by an update',
      'docker update --pids-limit 2000 small >/dev/null 2>&1 || say nor of processes',
      'one=$(docker ps --filter name=b -q); docker pause $one >/dev/null; for i in 1 2 3 4; do docker start b$i; done >/dev/null 2>&1; docker ps -q | wc -l | told',
    );
    expect(lines).toHaveLength(9);
    expect(Number(lines[0])).toBeLessThanOrEqual(4 * 1024 ** 3);
    expect(Number(lines[1])).toBeLessThanOrEqual(2048);
    expect(lines[2]).toBe('told how');
    expect(Number(lines[3])).toBeGreaterThan(4);
    expect(lines.slice(4)).toEqual(['1', 'fits', 'not by an update', 'nor of processes', '2']);
  });

  it('reaches nothing of others by id or by name', async () => {
    const { id, name } = other;
    const short = id.slice(0, 12);
    const commands = [id, short, name].flatMap((who) => [
      `docker inspect ${who}`,
      `docker exec ${who} true`,
      `docker exec --privileged ${who} true`,
      `docker logs ${who}`,
      `docker cp ${who}:/etc/passwd .`,
      `docker cp out ${who}:/tmp/x`,
      `docker stop -t 0 ${who}`,
      `docker kill ${who}`,
      `docker rm -f ${who}`,
      `docker commit ${who} mine`,
      `docker attach ${who}`,
      `docker rename ${who} mine`,
      `docker export ${who}`,
      `docker network connect bridge ${who}`,
      `docker top ${who}`,
      `docker update --memory 8m ${who}`,
    ]);
    const lines = await run(
      ...commands.map(refused),
      `docker ps -aq --no-trunc | grep -c ${id} | told; docker inspect $(hostname) >/dev/null 2>&1 && say sees itself`,
      'docker exec --privileged $(hostname) true 2>/dev/null && say into itself; docker rm -f $(hostname) 2>&1 | grep -q "No such" || say removed itself',
    );
    expect(lines).toEqual([...all(commands), '0']);
    expect((await docker.getContainer(id).inspect()).State.Running).toBe(true);
  });

  it('gets no privilege by exec, and no way to the host by volumes, networks or the engine itself', async () => {
    const commands = [
      'docker exec --privileged own true',
      'docker volume create --driver local --opt type=none --opt o=bind --opt device=/ v',
      'docker volume create --driver other v',
      'docker network create -d macvlan -o parent=eth0 n',
      'docker network create -d host n',
      'docker network create --label slipway.job=other n',
      'docker network create -o com.docker.network.bridge.name=docker0 n',
      'docker network rm host',
      'docker network connect host own',
      'docker plugin ls',
      'docker plugin install x',
      'docker swarm init',
      'docker service ls',
      'docker secret ls',
      'docker node ls',
      'docker system df --bad',
      `docker load -i out`,
    ];
    const update =
      'docker update --restart always --memory 100g own; docker inspect -f "{{.HostConfig.Memory}} {{.HostConfig.RestartPolicy.Name}}" own | told';
    const lines = await run(`docker run -d --name own ${box} sleep 600`, ...commands.map(refused), update);
    expect(['4294967296 no', '4294967296 ']).toContain(lines.at(-1));
    expect(lines.slice(0, -1).map((line, i) => `${commands[i]} ${line}`)).toEqual(
      commands.map((command) => `${command} refused`),
    );
  });

  it('does not reach the containers of another job, whose names are the same', async () => {
    const victim = dockerJob(image, [
      `docker run -d --name db ${box} sleep 600; say up $(docker inspect -f "{{.Id}}" db); sleep 12; docker ps --format '{{.Names}}' | told`,
    ]);
    const { promise: isUp, resolve: tell } = Promise.withResolvers<string>();
    const victims = runJob(site, victim, {}, undefined, (log) => {
      const up = /^> up (\w+)/m.exec(log)?.[1];
      if (up !== undefined) tell(up);
    });
    const id = await isUp;
    const commands = [
      `docker rm -f ${id}`,
      'docker rm -f db',
      `docker exec ${id} true`,
      `docker rm -f slipway-${victim.jobId}-1-db`,
    ];
    const lines = await run(
      ...commands.map(refused),
      `docker run --rm --network container:${id} ${box} true || say refused`,
    );
    expect((await victims).lines.slice(1)).toEqual(['db']);
    expect(lines).toEqual(['refused', ...all(commands)]);
  });
});

describe('a stranger who builds', () => {
  it('begins with no image of the engine: by no name, no id, and no beginning of an id', async () => {
    const { Id } = await docker.getImage(box).inspect();
    const names = [box, Id, Id.slice(7), Id.slice(7, 15), `sha256:${Id.slice(7, 15)}`];
    const build = (text: string) => refused(`printf '${text}\\n' | DOCKER_BUILDKIT=0 docker build -t x -`);
    const lines = await runJob(
      site,
      dockerJob(
        image,
        [
          ...names.map((name) => build(`FROM ${name}`)),
          ...names.map((name) => build(`FROM scratch\\nCOPY --from=${name} / /x`)),
          build(`ARG A=${Id.slice(7, 9)}\\nARG B=${Id.slice(9, 15)}\\nFROM $A$B`),
          refused(`printf 'FROM ${box}\\n' | DOCKER_BUILDKIT=1 docker20 build -t x -`),
          `echo hello >f; printf 'FROM scratch\\nCOPY f /f\\n' >Dockerfile; docker build -t mine . >out 2>&1 && say built || cat out`,
        ],
        { trusted: false },
      ),
      // Builds are none of this test's network: the bridge isn't there, docker0 is others' too.
      { guard: { deny: [], bridges: ['slwnone'], image: null } },
    );
    expect(lines.lines).toEqual([...names.flatMap(() => ['refused', 'refused']), 'refused', 'refused', 'built']);
  });
});

describe('a bind mount of the workspace', () => {
  it('does not follow a link that leads out', async () => {
    const lines = await run(
      `ln -s / root; ln -s ${host} host; ln -s ../../../.. up; ln -s /workspace/host twice; mkdir d; ln -s ${host}/secret d/file`,
      ...['root', 'root/etc', 'host', 'host/secret', 'up', 'up/etc', 'twice', 'd/file'].flatMap((path) => [
        refused(`docker run --rm -v $PWD/${path}:/m ${box} sh -c 'ls /m; cat /m'`),
        refused(`docker run --rm --mount type=bind,source=$PWD/${path},target=/m ${box} sh -c 'ls /m; cat /m'`),
      ]),
      // In the container a link is a link of the container.
      `docker run --rm -v $PWD:/m ${box} sh -c 'cat /m/host/secret 2>/dev/null || echo nothing' | told`,
    );
    expect(lines).toEqual([...Array.from({ length: 16 }, () => 'refused'), 'nothing']);
  });

  it('is what was asked for, however quickly a folder becomes a link and back', async () => {
    const lines = await run(
      `mkdir -p swap/in; echo mine >swap/in/secret`,
      // Exchanges the folder `in` for a link to the host's folder, and back, again and again.
      `( cd swap; ln -s ${host} evil; while sleep 0.02; do mv in real; mv evil in; sleep 0.02; mv in evil; mv real in; done ) 2>/dev/null & racer=$!`,
      `for i in $(seq 12); do docker run --rm -v $PWD/swap/in:/m ${box} cat /m/secret 2>/dev/null; done >seen`,
      'kill $racer; sort -u seen | told; say done',
    );
    expect(lines).not.toContain('of the host');
    expect(lines).toContain('done');
  });
});

describe('the socket', () => {
  const ask = (text: string) => `printf '${text}' | nc -w 3 local:/slipway/docker.sock 2>/dev/null | head -1 | told`;

  it('takes no request in two meanings', async () => {
    const curl = (path: string, more = '') =>
      `curl -s -o /dev/null -w '%{http_code}\\n' --path-as-is ${more} --unix-socket /slipway/docker.sock 'http://d${path}' | told`;
    const paths = [
      `/containers/${other.id}/json`,
      `/v1.41/containers/${other.id}/json`,
      `/containers/x/../${other.id}/json`,
      `/containers/%2e%2e/containers/${other.id}/json`,
      `/containers/${other.id}%2fjson`,
      `//containers//${other.id}//json`,
      `/v1.41/v1.41/containers/${other.id}/json`,
      `/containers/${other.id}/json?all=1#x`,
      '/../info/../containers/json%00',
      '/swarm',
      '/plugins',
      '/grpc',
      '/debug/pprof/',
    ];
    const lines = await run(...paths.map((path) => curl(path)), curl('/_ping'));
    expect(lines.at(-1)).toBe('200');
    for (const line of lines.slice(0, -1)) expect(line).toMatch(/^(400|403|404|501)$/);
    expect(lines).toHaveLength(paths.length + 1);
  });

  it('does not let a second request through in the body of the first', async () => {
    const inner = `DELETE /containers/${other.id}?force=1 HTTP/1.1\\r\\nHost: d\\r\\n\\r\\n`;
    const lines = await run(
      ask(
        `POST /containers/create HTTP/1.1\\r\\nHost: d\\r\\nContent-Length: 5\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n${inner}`,
      ),
      ask(`GET /_ping HTTP/1.1\\r\\nHost: d\\r\\nContent-Length: 4\\r\\nContent-Length: 90\\r\\n\\r\\n${inner}`),
      ask(`GET /_ping HTTP/1.1\\r\\nHost: d\\r\\nTransfer-Encoding: xchunked\\r\\n\\r\\n${inner}`),
      ask(`GET /_ping HTTP/1.1\\nHost: d\\n\\n${inner}`),
      ask(`CONNECT /containers/json HTTP/1.1\\r\\nHost: d\\r\\n\\r\\n${inner}`),
      ask(`GET /_ping HTTP/1.1\\r\\nHost: d\\r\\nConnection: Upgrade\\r\\nUpgrade: tcp\\r\\n\\r\\n${inner}`),
      ask(`GET /containers/json HTTP/1.1\\r\\nHost: d\\r\\nX: $(head -c 200000 /dev/zero | tr "\\\\0" x)\\r\\n\\r\\n`),
      `head -c 5000000 /dev/zero | curl -s -o /dev/null -w '%{http_code}\\n' -X POST -H 'Content-Type: application/json' --data-binary @- --unix-socket /slipway/docker.sock http://d/containers/create | told`,
      'docker ps -q && say well',
    );
    expect(lines.at(-1)).toBe('well');
    expect(lines.filter((line) => line.includes(' 204') || line.includes(' 201'))).toEqual([]);
    expect((await docker.getContainer(other.id).inspect()).State.Running).toBe(true);
  });

  it('is not brought down by a thousand connections, nor by what the job puts in its place', async () => {
    const lines = await run(
      'for i in $(seq 300); do sleep 60 | nc local:/slipway/docker.sock >/dev/null 2>&1 & done; sleep 3; kill $(jobs -p) 2>/dev/null; sleep 1; docker ps -q && say well',
      'rm -f /slipway/docker.sock; ln -s /etc/passwd /slipway/docker.sock; docker ps -q 2>/dev/null || say cut off',
    );
    expect(lines).toEqual(['well', 'cut off']);
    // The server and other jobs don't feel it.
    expect(await run('docker ps -q && say well')).toEqual(['well']);
  });
});
