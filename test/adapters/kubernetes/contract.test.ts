import { clusterContract } from '#test/contracts/cluster.ts';
import { startFixture } from './fixture.ts';

clusterContract('The Kubernetes adapter', startFixture);
