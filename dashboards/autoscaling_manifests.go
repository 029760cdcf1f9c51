package main

const deploymentManifest = `# The workers. Replace the image and the Secret's values; see docs/scaling.md.
# Generated from the catalogue of jobs: go generate ./dashboards
apiVersion: apps/v1
kind: Deployment
metadata:
  name: millrace-worker
  labels: {app.kubernetes.io/name: millrace, app.kubernetes.io/component: worker}
spec:
  # No replicas: the autoscaler sets them, and applying this again leaves them alone.
  selector:
    matchLabels: {app.kubernetes.io/name: millrace, app.kubernetes.io/component: worker}
  strategy:
    # New workers first: the old ones drain while the new ones work.
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  template:
    metadata:
      labels: {app.kubernetes.io/name: millrace, app.kubernetes.io/component: worker}
      annotations:
        # For a Prometheus that finds its targets by annotations. With its operator: a
        # PodMonitor that selects these labels and the port metrics.
        prometheus.io/scrape: "true"
        prometheus.io/port: "9465"
    spec:
      # SIGTERM: a worker takes nothing new and gives running jobs {{.Stop}}; the rest goes
      # back to the queue without spending an attempt. It needs no preStop hook, as
      # nothing is sent to it. One that is killed before it has stopped costs each of
      # its jobs the minute until another one takes it up.
      terminationGracePeriodSeconds: {{.Grace}}
      securityContext:
        runAsNonRoot: true
        seccompProfile: {type: RuntimeDefault}
      containers:
        - name: worker
          image: registry.example.com/millrace:VERSION
          command: [worker]
          env:
            - {name: METRICS_ADDR, value: ":9465"}
            # Most of the limit below; the rest is for what is not Go's heap.
            - {name: GOMEMLIMIT, value: 400MiB}
          envFrom:
            # DATABASE_URL, STRIPE_SECRET_KEY, RESEND_API_KEY, EMAIL_FROM, ENCRYPTION_KEYS
            - secretRef: {name: millrace-worker}
          ports:
            - {name: metrics, containerPort: 9465}
          readinessProbe:
            tcpSocket: {port: metrics}
          resources:
            # Jobs wait for providers more than they compute. No limit of the CPU: a
            # worker that is throttled holds its slots for longer.
            requests: {cpu: 250m, memory: 128Mi}
            limits: {memory: 512Mi}
          securityContext:
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: millrace-worker
spec:
  # Nodes are drained one worker at a time.
  maxUnavailable: 1
  selector:
    matchLabels: {app.kubernetes.io/name: millrace, app.kubernetes.io/component: worker}
`

// scalingBehavior is what both ways of scaling share.
const scalingBehavior = `behavior:
  scaleUp:
    # At once, and at most twice as many or four more in half a minute.
    stabilizationWindowSeconds: 0
    selectPolicy: Max
    policies:
      - {type: Percent, value: 100, periodSeconds: 30}
      - {type: Pods, value: 4, periodSeconds: 30}
  scaleDown:
    # Slowly: every worker that goes drains, and a load of five minutes ago may come back.
    stabilizationWindowSeconds: 300
    selectPolicy: Max
    policies:
      - {type: Pods, value: 1, periodSeconds: 60}`

const kedaManifest = `# Scales the workers with KEDA (2.17 or newer), or hpa.yaml does without it: never both.
# Replace the address of Prometheus; see docs/scaling.md.
# Generated from the catalogue of jobs: go generate ./dashboards
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata:
  name: millrace-worker
spec:
  scaleTargetRef:
    name: millrace-worker
  # Never to none: a worker is who starts scheduled jobs and retries, and who tells
  # what waits. So there is no cooldown to zero either.
  minReplicaCount: {{.Min}}
  # {{.Max}} workers open up to {{.Connections}} database connections.
  maxReplicaCount: {{.Max}}
  pollingInterval: 15
  # When Prometheus is gone, or no worker reports: no fewer than run, and at least so many.
  fallback:
    failureThreshold: 3
    replicas: {{.Min}}
    behavior: currentReplicasIfHigher
  advanced:
    horizontalPodAutoscalerConfig:
{{behavior 6}}
  # Two triggers a queue, of which the one that asks for the most decides. ignoreNullValues
  # "false" makes "no data" an error, for the fallback, and not a 0, which would mean idle.
  triggers:
{{- range .Queues}}
    # {{.Name}}: the workers whose slots its load would fill; {{$.Percent}} % of one for each replica.
    - type: prometheus
      name: {{.Name}}-load
      metricType: AverageValue
      metadata:
        serverAddress: http://prometheus.monitoring:9090
        ignoreNullValues: "false"
        threshold: "{{$.Utilisation}}"
        query: >-
          {{.Load}}
    # {{.Name}}: the oldest job's wait while jobs are worked, against the target of {{.Target}} s.
    - type: prometheus
      name: {{.Name}}-age
      metricType: Value
      metadata:
        serverAddress: http://prometheus.monitoring:9090
        ignoreNullValues: "false"
        threshold: "{{.Target}}"
        query: >-
          {{.Age}}
{{- end}}
`

const hpaManifest = `# Scales the workers by metrics of prometheus-adapter (prometheus-adapter-values.yaml),
# or keda-scaledobject.yaml does: never both. See docs/scaling.md.
# A metric that cannot be had takes no worker away: an HPA does not scale down then.
# Generated from the catalogue of jobs: go generate ./dashboards
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: millrace-worker
spec:
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: millrace-worker
  minReplicas: {{.Min}}
  # {{.Max}} workers open up to {{.Connections}} database connections.
  maxReplicas: {{.Max}}
{{behavior 2}}
  # Two a queue, of which the one that asks for the most decides.
  metrics:
{{- range .Queues}}
    # {{.Name}}: the workers whose slots its load would fill; {{$.Percent}} % of one for each replica.
    - type: External
      external:
        metric:
          name: {{.Name}}_workers_filled
        target: {type: AverageValue, averageValue: "{{$.Utilisation}}"}
    # {{.Name}}: the oldest job's wait while jobs are worked, against the target of {{.Target}} s.
    - type: External
      external:
        metric:
          name: {{.Name}}_wait_seconds
        target: {type: Value, value: "{{.Target}}"}
{{- end}}
`

const adapterManifest = `# Values of the Helm chart prometheus-community/prometheus-adapter: the external metrics
# that hpa.yaml scales by. Replace the address of Prometheus; see docs/scaling.md.
# Generated from the catalogue of jobs: go generate ./dashboards
prometheus:
  url: http://prometheus.monitoring
  port: 9090
rules:
  default: false
  external:
{{- range .Queues}}
    # {{.Name}}: the workers whose slots its load would fill.
    - seriesQuery: millrace_queue_jobs{queue="{{.Name}}", state="available"}
      resources: {namespaced: false}
      name: {matches: ^.*$, as: {{.Name}}_workers_filled}
      metricsQuery: >-
        {{.Load}}
    # {{.Name}}: the oldest job's wait while jobs are worked.
    - seriesQuery: millrace_queue_oldest_available_age_seconds{queue="{{.Name}}"}
      resources: {namespaced: false}
      name: {matches: ^.*$, as: {{.Name}}_wait_seconds}
      metricsQuery: >-
        {{.Age}}
{{- end}}
`
