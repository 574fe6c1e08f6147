import { commands, type Detector, type Look, versionIn } from './finding.ts';

const DEFAULT_VERSION = '3.13';
const REQUIREMENTS = ['requirements.txt', 'requirements-dev.txt', 'dev-requirements.txt', 'requirements-test.txt'];
const CONFIGURATION = ['pyproject.toml', 'setup.cfg', 'tox.ini', '.python-version'];

/** Python: install the requirements, then flake8 or ruff and pytest, where the repository asks for them. */
export const python: Detector = {
  reads: [...REQUIREMENTS, ...CONFIGURATION],
  find(look) {
    const files = REQUIREMENTS.filter((file) => look.has(file));
    const project =
      look.has('pyproject.toml') && /^\[(project|build-system|tool\.poetry)\]/m.test(look.text('pyproject.toml'));
    if (!look.has('requirements.txt') && !look.has('pyproject.toml')) return [];
    const all = [...files, ...CONFIGURATION].map((file) => look.text(file)).join('\n');
    const tools = [
      ...(uses(all, 'ruff') || look.has('ruff.toml') || look.has('.ruff.toml') ? ['ruff'] : []),
      ...(uses(all, 'flake8') || look.has('.flake8') ? ['flake8'] : []),
      'pytest',
    ];
    const run = [
      ...files.map((file) => `pip install -r ${file}`),
      ...(project ? ['pip install .'] : []),
      `pip install ${tools.join(' ')}`,
      ...(tools.includes('ruff') ? ['ruff check .'] : []),
      ...(tools.includes('flake8') ? ['flake8'] : []),
      ...(hasTests(look, all) ? ['python -m pytest'] : ['python -m compileall -q .']),
    ];
    const file = look.has('pyproject.toml') ? 'pyproject.toml' : 'requirements.txt';
    return [commands('python', file, `python:${versionOf(look)}`, run)];
  },
};

/** True if a tool stands among requirements or is configured. */
function uses(text: string, tool: string): boolean {
  return (
    new RegExp(`^[ \\t]*(?:\\[(?:tool\\.)?${tool}\\b|["']?${tool}\\b)`, 'm').test(text) ||
    new RegExp(`["']${tool}(?:[<>=~!;\\[ ][^"']*)?["']`).test(text)
  );
}

function hasTests(look: Look, text: string): boolean {
  return (
    uses(text, 'pytest') ||
    /\bpytest\b/.test(text) ||
    look.has('tests') ||
    look.has('test') ||
    look.has('conftest.py') ||
    look.has('pytest.ini')
  );
}

function versionOf(look: Look): string {
  const required =
    /^[ \t]*(?:requires-python|python)\s*=\s*["']([^"']*)["']/m.exec(look.text('pyproject.toml'))?.[1] ?? '';
  // Of a lower bound the newest version that is known to be above it is taken, of a fixed one that one.
  const exact = /^(?:==|~=|\^)?[ ]?3\.\d+/.test(required) ? versionIn(required, 2) : null;
  return versionIn(look.text('.python-version'), 2) ?? exact ?? DEFAULT_VERSION;
}
