/** Keys that belong to the format and that this version doesn't do yet. */
export const LATER: Readonly<Record<'file' | 'job' | 'environment', readonly string[]>> = {
  file: ['cache', 'previews'],
  job: ['cache', 'outputs'],
  environment: ['after', 'approvals', 'steps', 'windows', 'preview'],
};

/** What other systems call our keys, and what to do here. */
export const ELSEWHERE: Readonly<Record<'file' | 'job' | 'environment', Readonly<Record<string, string>>>> = {
  file: {
    on: 'Slipway runs every push and pull request; give a job an "if" to choose.',
    env: 'Variables belong to a job: put "env" there.',
    image: 'The image belongs to a job: put "image" there.',
    secrets: 'A job names its secrets: put "secrets" there.',
    services: 'Services belong to a job: put "services" there.',
    retry: 'Retries belong to a job: put "retry" there.',
    matrix: 'A matrix belongs to a job: put "matrix" there.',
    stages: 'The order of jobs follows from their "needs".',
    steps: 'Steps belong to a job: jobs: { test: { image: ..., run: [...] } }.',
    script: 'Commands belong to a job: jobs: { test: { image: ..., run: [...] } }.',
    run: 'Commands belong to a job: jobs: { test: { image: ..., run: [...] } }.',
  },
  job: {
    steps: 'Commands are listed in "run"; each is a step.',
    script: 'Commands are listed in "run".',
    commands: 'Commands are listed in "run".',
    before_script: 'Put these commands first in "run".',
    'runs-on': 'Name a container image in "image".',
    container: 'Name a container image in "image".',
    network_mode: 'Write network: none, private or host.',
    strategy: 'Put the axes in "matrix" itself.',
    variables: 'Variables are in "env".',
    'working-directory': 'The folder is in "workdir".',
    'timeout-minutes': 'The time is in "timeout", as in timeout: 10m.',
    depends_on: 'Jobs to wait for are in "needs".',
    stage: 'The order of jobs follows from their "needs".',
    allow_failure: 'Write continue-on-error: true.',
    retries: 'Write retry: 2.',
    'cancel-in-progress': 'Write concurrency: { group: NAME, cancel-in-progress: true }.',
    resource_group: 'Write concurrency: { group: NAME, queue: max }.',
    uses: 'Actions can\'t be used in slipway.yml; write the commands in "run".',
    when: 'A condition is in "if".',
    only: 'A condition is in "if", as in if: event.branch == \'main\'.',
  },
  environment: {
    branch: 'Put it in "on", as in on: { branch: main }.',
    tag: 'Put it in "on", as in on: { tag: "v*" }.',
    deployment: 'List it in "rollout".',
    secrets: 'A job names them, together with "environment".',
  },
};
