import { quote } from 'shlex';
import type { Shell, StepSpec } from '#src/model/pipeline.ts';
import { UserError } from '#src/model/outcome.ts';
import type { GivenSecret } from '#src/model/secret.ts';
import { WORKSPACE } from '#src/model/workspace.ts';
import { type FileQuery, fileQuery } from './globs.ts';
import { markFormat } from './markers.ts';
import { aroundStep, handOver } from './script-secrets.ts';

/** Where the control folder is mounted in a job's container. */
export const CONTROL = '/slipway';

/**
 * What a job's container runs from its start: everything it prints goes to the log file, what it shall do comes
 * through the FIFO `go`. A shell takes its commands from standard input as soon as each is complete, so nothing runs
 * before the server has spoken, and a message that was torn by the server's death never runs.
 */
export const BOOT = `exec >>${CONTROL}/log 2>&1 <${CONTROL}/go; exec /bin/sh`;

export interface ScriptRequest {
  readonly nonce: string;
  readonly shell: Shell;
  readonly workdir: string | null;
  readonly steps: readonly StepSpec[];
  /** Only their variables are in the script, which lies on the host's disk. */
  readonly given: readonly GivenSecret[];
}

/**
 * The job's script: all steps in one shell, each from a literal of its own so that a syntax error belongs to its
 * step. Ends with the exit code of the first step that fails.
 */
export function jobScript(request: ScriptRequest): string {
  const lines = [
    // Waits for the command under way, which got the signal too, instead of dying before it.
    "trap 'exit 143' TERM",
    request.shell === 'bash' ? 'set -eo pipefail' : 'set -e',
  ];
  if (request.workdir !== null) {
    const message = `Slipway: there is no folder ${request.workdir} in the workspace (workdir)`;
    const folder = request.workdir.startsWith('/') ? request.workdir : `${WORKSPACE}/${request.workdir}`;
    lines.push(`cd ${quote(folder)} 2>/dev/null || { echo ${quote(message)}; exit 1; }`);
  }
  request.steps.forEach((step, index) => {
    const { before, after } = aroundStep(request.given, index);
    lines.push(mark(request.nonce, `step ${index}`), ...before);
    lines.push(`eval ${quote(step.script)}`);
    lines.push('case $? in 0) ;; *) exit $? ;; esac', ...after);
  });
  return `${lines.join('\n')}\n`;
}

/** `set -x` must not trace it, a user's function or closed output must not disturb it. The time is its last word. */
function mark(nonce: string, words: string): string {
  const print = `command printf '${markFormat(nonce, `${words} %s`)}' "$slipway_up" >>${CONTROL}/log || :`;
  return `{ ${READ_UPTIME}; ${print}; } 2>/dev/null`;
}

/** The machine's uptime in seconds, as $slipway_up: no process is started for it, and the server sees the same. */
const READ_UPTIME = "IFS=' ' command read -r slipway_up slipway_idle </proc/uptime || slipway_up=";

export interface GoRequest {
  readonly nonce: string;
  readonly shell: Shell;
  readonly env: Readonly<Record<string, string>>;
  readonly given: readonly GivenSecret[];
  readonly artifacts: readonly string[];
  readonly reports: readonly string[];
  /** Of a job with an engine of its own. */
  readonly docker?: object | null;
  /** Number of archives `input-0.tar`, `input-1.tar` ... in the control folder. */
  readonly inputs: number;
}

/**
 * What is sent through the FIFO. The shell that reads it says that it has begun and stays beside the job's own: it
 * unpacks the inputs, runs the script, tells its exit code (also if the script ended by `exec` or was killed) and packs what is asked for.
 * Throws UserError if a variable's name can't be one.
 */
export function goMessage(request: GoRequest): string {
  const shell = request.shell === 'bash' ? 'bash' : '/bin/sh';
  const lines = [
    '{',
    `printf '${markFormat(request.nonce, 'begun')}'`,
    // Stopping signals every process; this shell goes on to report.
    "trap ':' TERM HUP INT",
    `cd ${WORKSPACE}`,
    ...unpackInputs(request),
    ...(request.docker ? [LINK_SOCKET] : []),
    '(',
    ...exports(request.env),
    ...handOver(request.given),
    ...(request.shell === 'bash' ? [missing(['bash'], 'The job asks for the shell bash', 127)] : []),
    `exec ${shell} ${CONTROL}/script </dev/null`,
    ')',
    'slipway_code=$?',
    ...countOomKills(),
    `{ ${READ_UPTIME}; } 2>/dev/null`,
    `printf '${markFormat(request.nonce, 'done %d %d %s')}' "$slipway_code" "$slipway_oom" "$slipway_up"`,
    ...pack(request, 'reports', request.reports, null),
    ...pack(request, 'artifacts', request.artifacts, '[ "$slipway_code" = 0 ]'),
    `printf '${markFormat(request.nonce, 'end')}'`,
    'exit 0',
    '}',
  ];
  return `${lines.join('\n')}\n`;
}

/** For clients that don't look at DOCKER_HOST. Where the user may not make it, they need that. */
const LINK_SOCKET = `[ -e /var/run/docker.sock ] || [ -L /var/run/docker.sock ] || { mkdir -p /var/run && ln -s ${CONTROL}/docker.sock /var/run/docker.sock; } 2>/dev/null || :`;

/** Asks whether the container sees this entry of the workspace; answered by the mark `sees 1` or `sees 0`. */
export function visibilityQuestion(nonce: string, entry: string): string {
  const path = quote(`${WORKSPACE}/${entry}`);
  return `{ if [ -e ${path} ] || [ -L ${path} ]; then printf '${markFormat(nonce, 'sees 1')}'; else printf '${markFormat(nonce, 'sees 0')}'; fi; }\n`;
}

/** Has the container's user make the file `owner` in the control folder; answered by the mark `owner`. */
export function ownerQuestion(nonce: string): string {
  return `{ : >${CONTROL}/owner; printf '${markFormat(nonce, 'owner')}'; }\n`;
}

function exports(env: Readonly<Record<string, string>>): readonly string[] {
  return Object.entries(env).map(([name, value]) => {
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(name)) {
      throw new UserError(
        `"${name}" can't be the name of an environment variable: use letters, digits and _, not beginning with a digit.`,
      );
    }
    // No variable can hold it, and shells differ in what they make of it.
    return `export ${name}=${quote(value.replaceAll('\0', ''))}`;
  });
}

function missing(tools: readonly string[], why: string, code: number): string {
  const message = `Slipway: ${why}, but the image has no`;
  return `for t in ${tools.join(' ')}; do command -v $t >/dev/null || { echo ${quote(message)} "$t"; exit ${code}; }; done`;
}

function unpackInputs({ nonce, inputs }: GoRequest): readonly string[] {
  if (inputs === 0) return [];
  const lines = [
    '(',
    missing(['tar'], 'Artifacts of the jobs that this one needs are unpacked with tar', 127),
    'set -e',
    ...Array.from({ length: inputs }, (_, i) => `tar -xf ${CONTROL}/input-${i}.tar -C ${WORKSPACE}`),
    ')',
    `[ $? = 0 ] || { printf '${markFormat(nonce, 'inputs')}'; printf '${markFormat(nonce, 'end')}'; exit 1; }`,
  ];
  return lines;
}

/** The cgroup's own counter: exact, at once, and the same under cgroup v1 and v2. */
function countOomKills(): readonly string[] {
  return [
    'slipway_oom=0',
    '[ "$slipway_code" = 0 ] || for f in /sys/fs/cgroup/memory/memory.oom_control /sys/fs/cgroup/memory.events; do',
    '[ ! -r $f ] || while read -r k v; do [ "$k" != oom_kill ] || slipway_oom=$v; done <$f',
    'done',
  ];
}

/**
 * Packs the files that match into NAME.tar. Line by line, for busybox knows no NUL-separated lists: names with a
 * newline are left out. Names begin with `./`, so none is taken for an option.
 */
function pack(
  { nonce }: GoRequest,
  name: string,
  patterns: readonly string[],
  condition: string | null,
): readonly string[] {
  if (patterns.length === 0) return [];
  const list = `${CONTROL}/${name}.list`;
  return [
    `${condition ? `! ${condition} || ` : ''}(`,
    missing(['find', 'grep', 'sort', 'tar'], `Packing ${name} takes find, grep, sort and tar`, 127),
    `: >${list}`,
    ...patterns.flatMap((pattern) => select(name, pattern, fileQuery(pattern), list)),
    `[ -s ${list} ] || exit 0`,
    `sort -u ${list} >${list}.sorted`,
    'case $(tar --version 2>/dev/null; tar --help 2>&1) in',
    // GNU tar would take backslashes in the list for escapes.
    `*GNU*) tar -c --no-unquote -f ${CONTROL}/${name}.tar -T ${list}.sorted ;;`,
    `*-T*) tar -cf ${CONTROL}/${name}.tar -T ${list}.sorted ;;`,
    // A busybox that was made without it, as Debian's.
    `*) set --; while IFS= read -r f; do set -- "$@" "$f"; done <${list}.sorted; tar -cf ${CONTROL}/${name}.tar "$@" ;;`,
    'esac',
    ')',
    `[ $? = 0 ] || printf '${markFormat(nonce, `unpacked ${name}`)}'`,
  ];
}

function select(name: string, pattern: string, query: FileQuery | null, list: string): readonly string[] {
  const noun = name === 'reports' ? 'report' : 'artifact';
  if (query === null) {
    return [`echo ${quote(`Slipway: the ${noun} pattern ${pattern} leads out of the workspace; it is left out`)}`];
  }
  const prune = query.root.startsWith('./.git') ? '' : '-path ./.git -prune -o ';
  const find = `find ${quote(query.root)} ${prune}! -name '*\n*' \\( -type f -o -type l \\) -print`;
  return [
    `${find} 2>/dev/null | LC_ALL=C grep -E ${quote(query.expression)} >${list}.one`,
    `[ -s ${list}.one ] || echo ${quote(`Slipway: no file matches the ${noun} pattern ${pattern}`)}`,
    `cat ${list}.one >>${list}`,
  ];
}
