import { execFileSync } from 'node:child_process';
import { dirname } from 'node:path';
import { Root } from '#dev/images/root.ts';

/** This machine's sh, iptables and what its rules need. */
export function firewallRoot(): Root {
  const root = new Root();
  root.folder('/tmp', 0o1777);
  root.folder('/run');
  const programs = [
    'sh',
    'cat',
    'grep',
    'sed',
    'sort',
    'tr',
    'iptables',
    'iptables-restore',
    'ip6tables',
    'ip6tables-restore',
  ];
  for (const name of programs) root.program(where(name), `/usr/sbin/${name}`);
  root.link('/bin', 'usr/sbin');
  const plugins = execFileSync('/bin/sh', ['-c', 'ls /usr/lib/*/xtables/libxt_conntrack.so'], { encoding: 'utf8' });
  root.copyTree(dirname(plugins.trim()), dirname(plugins.trim()));
  return root;
}

function where(program: string): string {
  return execFileSync('/bin/sh', ['-c', `command -v ${program}`], { encoding: 'utf8' }).trim();
}
