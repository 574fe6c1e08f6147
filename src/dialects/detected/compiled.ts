import { commands, type Detector, versionIn } from './finding.ts';

/** Go: vet, build and test every package. */
export const go: Detector = {
  reads: ['go.mod'],
  find(look) {
    if (!look.has('go.mod')) return [];
    const version = versionIn(/^go\s+(\S+)/m.exec(look.text('go.mod'))?.[1] ?? '', 2);
    return [
      commands('go', 'go.mod', `golang:${version ?? '1.25'}`, ['go vet ./...', 'go build ./...', 'go test ./...']),
    ];
  },
};

/** Rust: build and test; the lock file is kept to where there is one. */
export const rust: Detector = {
  reads: ['Cargo.toml', 'rust-toolchain', 'rust-toolchain.toml'],
  find(look) {
    if (!look.has('Cargo.toml')) return [];
    const toolchain = look.text('rust-toolchain.toml') || look.text('rust-toolchain');
    const least = /^[ \t]*rust-version\s*=\s*["'](\d+(?:\.\d+)*)["']/m.exec(look.text('Cargo.toml'))?.[1];
    const pinned = /^[ \t]*(?:channel\s*=\s*["'])?(\d+\.\d+(?:\.\d+)?)/m.exec(toolchain)?.[1] ?? least;
    const locked = look.has('Cargo.lock') ? ' --locked' : '';
    const run = [`cargo build --all-targets${locked}`, `cargo test${locked}`];
    return [commands('rust', 'Cargo.toml', `rust:${pinned ?? '1'}`, run)];
  },
};

/** Maven, by the repository's own wrapper where it has one. */
export const maven: Detector = {
  reads: ['pom.xml'],
  find(look) {
    if (!look.has('pom.xml')) return [];
    const pom = look.text('pom.xml');
    const named = /<(?:maven\.compiler\.release|java\.version|maven\.compiler\.target)>\s*([\d.]+)\s*</.exec(pom)?.[1];
    const version = Number(named?.replace(/^1\./, '') ?? 21);
    // Images exist for the long-term releases; a newer one compiles for older ones.
    const java = [8, 11, 17, 21, 25].find((release) => release >= version) ?? 25;
    const job = commands('maven', 'pom.xml', `maven:3-eclipse-temurin-${java}`, ['mvn -B verify']);
    return [
      {
        ...job,
        reports: { junit: ['**/target/surefire-reports/TEST-*.xml', '**/target/failsafe-reports/TEST-*.xml'] },
      },
    ];
  },
};

/** A Dockerfile: the image is built, and pushed nowhere, because nothing says where. */
export const dockerfile: Detector = {
  reads: [],
  find(look) {
    if (!look.has('Dockerfile')) return [];
    const {
      id,
      name,
      needs,
      if: condition,
      matrix,
      continueOnError,
      timeoutMinutes,
      retries,
      concurrency,
      at,
    } = commands('image', 'Dockerfile', '', []);
    const build = { context: '.', dockerfile: 'Dockerfile', image: null, target: null, args: {} };
    const base = { id, name, needs, if: condition, matrix, continueOnError, timeoutMinutes, retries, concurrency, at };
    return [{ ...base, kind: 'image', build }];
  },
};
