/** The parts of Kubernetes' objects that are read. Everything may be absent: counters that are zero are. */
export interface KubernetesObject {
  readonly kind?: string;
  readonly metadata: {
    readonly name?: string;
    readonly namespace?: string;
    readonly uid?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly creationTimestamp?: string;
    readonly deletionTimestamp?: string;
    readonly labels?: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly ownerReferences?: readonly {
      readonly uid: string;
      readonly kind: string;
      readonly controller?: boolean;
    }[];
  };
}

/** A workload of any kind, as `normal` makes them alike. */
export interface Workload extends KubernetesObject {
  readonly spec: {
    readonly replicas?: number;
    readonly paused?: boolean;
    readonly selector: Selector;
    readonly template: { readonly spec: PodSpec };
    /** Deployments and DeploymentConfigs. */
    readonly strategy?: { readonly type?: string };
    /** StatefulSets and DaemonSets. */
    readonly updateStrategy?: { readonly type?: string; readonly rollingUpdate?: { readonly partition?: number } };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly updatedReplicas?: number;
    readonly availableReplicas?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
    readonly desiredNumberScheduled?: number;
    readonly currentNumberScheduled?: number;
    readonly updatedNumberScheduled?: number;
    readonly numberAvailable?: number;
    readonly conditions?: readonly Condition[];
    /** These are an Argo Rollout's. */
    readonly phase?: string;
    readonly message?: string;
    readonly abort?: boolean;
    readonly stableRS?: string;
    readonly currentPodHash?: string;
    readonly pauseConditions?: readonly { readonly reason?: string; readonly startTime?: string }[] | null;
  };
}

/** A DeploymentConfig (apps.openshift.io/v1) as the API has it. */
export interface RawDeploymentConfig extends Omit<Workload, 'spec'> {
  readonly spec: Omit<Workload['spec'], 'selector' | 'template'> & {
    readonly selector?: Readonly<Record<string, string>>;
    readonly template?: Workload['spec']['template'];
    /** Absent: a change of the template rolls. */
    readonly triggers?: readonly Trigger[] | null;
  };
}

interface Trigger {
  readonly type?: string;
  readonly imageChangeParams?: { readonly automatic?: boolean; readonly containerNames?: readonly string[] };
}

/** An Argo Rollout (argoproj.io/v1alpha1) as the API has it: generations that it has seen are texts. */
export interface RawRollout extends Omit<Workload, 'spec' | 'status'> {
  readonly spec: Omit<Workload['spec'], 'selector' | 'template'> & {
    readonly selector?: Selector;
    readonly template?: Workload['spec']['template'];
    /** Where the template is, if not here. */
    readonly workloadRef?: { readonly kind?: string; readonly name?: string };
  };
  readonly status?: Omit<NonNullable<Workload['status']>, 'observedGeneration'> & {
    readonly observedGeneration?: string | number;
    readonly workloadObservedGeneration?: string | number;
  };
}

interface PodSpec {
  readonly containers: readonly { readonly name: string; readonly image: string }[];
  readonly initContainers?: readonly { readonly name: string }[];
}

export interface Selector {
  readonly matchLabels?: Readonly<Record<string, string>>;
  readonly matchExpressions?: readonly {
    readonly key: string;
    readonly operator: string;
    readonly values?: readonly string[];
  }[];
}

export interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface Pod extends KubernetesObject {
  readonly spec: PodSpec;
  readonly status?: {
    readonly conditions?: readonly Condition[];
    readonly containerStatuses?: readonly ContainerStatus[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
  };
}

export interface ContainerStatus {
  readonly name: string;
  readonly ready: boolean;
  readonly restartCount: number;
  readonly state?: ContainerState;
  readonly lastState?: ContainerState;
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: { readonly reason?: string; readonly exitCode: number };
}

export interface ClusterEvent extends KubernetesObject {
  readonly involvedObject: { readonly uid?: string; readonly name?: string; readonly fieldPath?: string };
  readonly reason?: string;
  readonly message?: string;
  readonly type?: string;
  readonly lastTimestamp?: string | null;
  /** These three are what newer writers of events use. */
  readonly eventTime?: string | null;
  readonly series?: { readonly count?: number; readonly lastObservedTime?: string } | null;
  readonly count?: number;
}

export interface List<T> {
  readonly metadata: { readonly resourceVersion?: string };
  readonly items: readonly T[];
}

export interface WatchEvent<T> {
  readonly type: string;
  readonly object: T;
}
