import { createHash } from 'node:crypto';
import { isIPv6 } from 'node:net';
import { quote } from 'shlex';
import { BRIDGE_PREFIX, SHARED_PREFIX } from './network.ts';

/**
 * Where clouds answer their machines, with credentials: link-local (AWS, Google, Azure, OpenStack and most others; also ECS's
 * tasks), Azure's host, Alibaba's. Names are asked for there too (Google, AWS): port 53 stays open, everywhere.
 */
const METADATA = ['169.254.0.0/16', '168.63.129.16/32', '100.100.100.200/32'];
const METADATA_6 = ['fd00:ec2::/32', 'fe80::/10'];

interface Family {
  readonly iptables: 'iptables' | 'ip6tables';
  readonly reject: string;
  readonly metadata: readonly string[];
  /** What a host must be asked by its neighbours so that it can be reached at all. */
  readonly neighbours: readonly string[];
}

const FAMILIES: readonly [Family, Family] = [
  { iptables: 'iptables', reject: 'icmp-admin-prohibited', metadata: METADATA, neighbours: [] },
  {
    iptables: 'ip6tables',
    reject: 'icmp6-adm-prohibited',
    metadata: METADATA_6,
    neighbours: ['135', '136'].map((type) => `-p ipv6-icmp --icmpv6-type ${type}`),
  },
];

/**
 * A shell script that makes the host's firewall keep jobs apart. It only adds chains of Slipway's own (SLIPWAY-INPUT,
 * SLIPWAY-FORWARD, SLIPWAY-DENY) and the jumps to them; run again, it changes only what is missing. Exits with other than 0 if
 * the rules don't stand. `id` (letters and digits) marks the installation's own ranges in SLIPWAY-DENY; `bridges` are further
 * interfaces that the rules hold for.
 */
export function guardScript(id: string, deny: readonly string[], bridges: readonly string[]): string {
  const [four, six] = FAMILIES;
  const isSix = (range: string) => isIPv6(range.split('/')[0] ?? '');
  return `
set -u
${FUNCTIONS}
# Without it, packets between containers of one bridge pass by the rules.
passed=$(cat /proc/sys/net/bridge/bridge-nf-call-iptables 2>/dev/null || echo 0)
[ "$passed" = 1 ] || fail 'net.bridge.bridge-nf-call-iptables is not 1: load br_netfilter and set it'
${family(
  four,
  id,
  deny.filter((range) => !isSix(range)),
  bridges,
)}
# Jobs' networks have no IPv6: these are for the day when one has, and a host without IPv6 needs none.
if ip6tables -w 10 -S INPUT >/dev/null 2>&1; then (
${family(six, id, deny.filter(isSix), bridges)}
); fi
exit 0
`;
}

const FUNCTIONS = `
fail() { echo "$1" >&2; exit 1; }
ipt() { "$tables" -w 10 -t "$table" "$@"; }
holds() { ipt -C "$@" >/dev/null 2>&1; }
restore() { "$tables-restore" -w 10 --noflush || fail "$tables can't set rules"; }
# CHAIN TARGET: the jump is the chain's first rule, so that nobody's rule lets pass before.
first() {
  [ "$(ipt -S "$1" 1 2>/dev/null)" != "-A $1 -j $2" ] || return 0
  if holds "$1" -j "$2"; then
    printf '*%s\\n-D %s -j %s\\n-I %s 1 -j %s\\nCOMMIT\\n' "$table" "$1" "$2" "$1" "$2" | restore
  else
    ipt -I "$1" 1 -j "$2" || fail "$tables can't change $1"
  fi
}`;

/**
 * The rules twice: in the table filter, which tells the job at once that it is refused, but where the engine takes its jump to
 * DOCKER-USER away for a moment whenever it makes a network; and in one that the engine doesn't touch, where what slipped
 * through is dropped. (mangle comes before filter: where there is no table security, jobs wait for an answer in vain.)
 */
function family(kind: Family, id: string, deny: readonly string[], bridges: readonly string[]): string {
  return `
tables=${kind.iptables}
table=filter
ipt -S INPUT >/dev/null || fail "$tables doesn't work here"
up=FORWARD
if ipt -S DOCKER-USER >/dev/null 2>&1; then up=DOCKER-USER; fi
${inTable(kind, `-j REJECT --reject-with ${kind.reject}`, id, deny, bridges)}
table=security
ipt -S INPUT >/dev/null 2>&1 || table=mangle
up=FORWARD
${inTable(kind, '-j DROP', id, deny, bridges)}
`;
}

function inTable(
  { metadata, neighbours }: Family,
  no: string,
  id: string,
  deny: readonly string[],
  bridges: readonly string[],
): string {
  const all = `-i ${BRIDGE_PREFIX}+`;
  const from = [all, ...bridges.map((bridge) => `-i ${bridge}`)];
  const answers = '-m conntrack --ctstate RELATED,ESTABLISHED -j RETURN';
  const input = from.flatMap((jobs) => [
    `${jobs} ${answers}`,
    ...neighbours.map((asked) => `${jobs} ${asked} -j RETURN`),
    `${jobs} ${no}`,
  ]);
  const forward = [
    ...from.map((jobs) => `${jobs} ${answers}`),
    `-i ${SHARED_PREFIX}+ -o ${SHARED_PREFIX}+ ${no}`,
    // From a job to its own services: whatever addresses their bridge has.
    ...from.map((jobs) => `${jobs} -m physdev --physdev-is-bridged -j RETURN`),
    // To other jobs and what else runs on the engine.
    ...[`${BRIDGE_PREFIX}+`, 'docker0', 'br-+'].map((others) => `${all} -o ${others} ${no}`),
    ...from.flatMap((jobs) => [
      `${jobs} -p udp -m udp --dport 53 -j RETURN`,
      `${jobs} -p tcp -m tcp --dport 53 -j RETURN`,
      ...metadata.map((range) => `${jobs} -d ${range} ${no}`),
      `${jobs} -j SLIPWAY-DENY`,
    ]),
  ];
  const mark = `slipway-${id}`;
  const denied = deny.map((range) => `-d ${range} -m comment --comment ${mark} ${no}`);
  const own = `ipt -S SLIPWAY-DENY | grep -F -e ${quote(`--comment ${mark} `)}`;
  return `
ipt -N SLIPWAY-DENY 2>/dev/null
${chain('SLIPWAY-INPUT', input)}
${chain('SLIPWAY-FORWARD', forward)}
# This installation's own ranges.
wanted=${quote(deny.toSorted().join(' '))}
there=$(${own} | sed 's/.* -d \\([^ ]*\\) .*/\\1/' | sort | tr '\\n' ' ')
if [ "$wanted " != "$there" ] && [ "$wanted$there" != '' ]; then
  { echo "*$table"
    ${own} | sed 's/^-A/-D/'
    printf '%s\\n' ${denied.map((rule) => quote(`-A SLIPWAY-DENY ${rule}`)).join(' ')}
    echo COMMIT; } | restore
fi
first INPUT SLIPWAY-INPUT
first "$up" SLIPWAY-FORWARD
`;
}

/**
 * All rules of a chain, or none: the chain is replaced at once if one is missing. Looked at by one call for each chain: the
 * last rule does nothing but bear a mark of all, and there may be more rules (an operator's own), not fewer.
 */
function chain(name: string, rules: readonly string[]): string {
  const mark = `slipway-${createHash('sha256').update(rules.join('\n')).digest('hex').slice(0, 16)}`;
  const all = [...rules, `-m comment --comment ${mark}`];
  const lines = [`:${name} - [0:0]`, ...all.map((rule) => `-A ${name} ${rule}`), 'COMMIT'];
  return `
stand=$(ipt -S ${name} 2>/dev/null)
count=0
case $stand in *${mark}*) count=$(printf '%s\\n' "$stand" | grep -c '^-A') ;; esac
if [ "$count" -lt ${all.length} ]; then
  { echo "*$table"; printf '%s\\n' ${lines.map((line) => quote(line)).join(' ')}; } | restore
fi`;
}
