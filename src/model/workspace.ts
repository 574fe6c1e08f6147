/** Where a job finds the repository in its container: the folder it starts in. */
export const WORKSPACE = '/workspace';
