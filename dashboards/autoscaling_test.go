package main

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"millrace/internal/capacity/observe"
	"millrace/internal/config"
	"millrace/jobs"
	"millrace/workers"
)

// manifest reads the documents of a file into values of strict types, so that a
// field which Kubernetes does not know is found.
func manifest(t *testing.T, name string, into ...any) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("autoscaling", name)) //nolint:gosec // a file of this package
	require.NoError(t, err)
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	for _, document := range into {
		require.NoError(t, decoder.Decode(document), name)
	}
	require.True(t, errors.Is(decoder.Decode(&struct{}{}), io.EOF), "%s has more documents", name)
}

type metadata struct {
	Name        string
	Labels      map[string]string
	Annotations map[string]string
}

// scaleBehavior is how fast to scale.
type scaleBehavior struct {
	ScaleUp   policyRules `yaml:"scaleUp"`
	ScaleDown policyRules `yaml:"scaleDown"`
}

type policyRules struct {
	StabilizationWindowSeconds int    `yaml:"stabilizationWindowSeconds"`
	SelectPolicy               string `yaml:"selectPolicy"`
	Policies                   []struct {
		Type          string
		Value         int
		PeriodSeconds int `yaml:"periodSeconds"`
	}
}

// scaledObject is KEDA's, as far as ours goes (keda.sh/v1alpha1).
type scaledObject struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Spec       struct {
		ScaleTargetRef  struct{ Name string } `yaml:"scaleTargetRef"`
		MinReplicaCount int                   `yaml:"minReplicaCount"`
		MaxReplicaCount int                   `yaml:"maxReplicaCount"`
		PollingInterval int                   `yaml:"pollingInterval"`
		Fallback        struct {
			FailureThreshold int `yaml:"failureThreshold"`
			Replicas         int
			Behavior         string
		}
		Advanced struct {
			Config struct{ Behavior scaleBehavior } `yaml:"horizontalPodAutoscalerConfig"`
		}
		Triggers []struct {
			Type, Name string
			MetricType string `yaml:"metricType"`
			Metadata   struct {
				ServerAddress    string `yaml:"serverAddress"`
				IgnoreNullValues string `yaml:"ignoreNullValues"`
				Threshold, Query string
			}
		}
	}
}

// autoscaler is a HorizontalPodAutoscaler (autoscaling/v2).
type autoscaler struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Spec       struct {
		ScaleTargetRef struct {
			APIVersion string `yaml:"apiVersion"`
			Kind, Name string
		} `yaml:"scaleTargetRef"`
		MinReplicas int `yaml:"minReplicas"`
		MaxReplicas int `yaml:"maxReplicas"`
		Behavior    scaleBehavior
		Metrics     []struct {
			Type     string
			External struct {
				Metric struct{ Name string }
				Target struct {
					Type         string
					AverageValue string `yaml:"averageValue"`
					Value        string
				}
			}
		}
	}
}

// adapterValues are those of prometheus-adapter's chart.
type adapterValues struct {
	Prometheus struct {
		URL  string
		Port int
	}
	Rules struct {
		Default  bool
		External []struct {
			SeriesQuery string `yaml:"seriesQuery"`
			Resources   struct{ Namespaced bool }
			Name        struct{ Matches, As string }
			Query       string `yaml:"metricsQuery"`
		}
	}
}

// deployment is a Deployment (apps/v1).
type deployment struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Spec       struct {
		Selector struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
		Strategy struct {
			RollingUpdate map[string]int `yaml:"rollingUpdate"`
		}
		Template struct {
			Metadata metadata
			Spec     struct {
				Grace           int            `yaml:"terminationGracePeriodSeconds"`
				SecurityContext map[string]any `yaml:"securityContext"`
				Containers      []struct {
					Name, Image string
					Command     []string
					Env         []struct{ Name, Value string }
					EnvFrom     []struct {
						SecretRef struct{ Name string } `yaml:"secretRef"`
					} `yaml:"envFrom"`
					Ports []struct {
						Name          string
						ContainerPort int `yaml:"containerPort"`
					}
					ReadinessProbe  map[string]any `yaml:"readinessProbe"`
					Resources       map[string]map[string]string
					SecurityContext map[string]any `yaml:"securityContext"`
				}
			}
		}
	}
}

type disruptionBudget struct {
	APIVersion string `yaml:"apiVersion"`
	Kind       string
	Metadata   metadata
	Spec       struct {
		MaxUnavailable int `yaml:"maxUnavailable"`
		Selector       struct {
			MatchLabels map[string]string `yaml:"matchLabels"`
		}
	}
}

// secondsOf is a target as the manifests write it.
func secondsOf(d time.Duration) string { return strconv.FormatFloat(d.Seconds(), 'f', -1, 64) }

// queries returns what the autoscalers ask Prometheus, by trigger.
func queries(t *testing.T) map[string]string {
	t.Helper()
	var keda scaledObject
	manifest(t, "keda-scaledobject.yaml", &keda)
	found := map[string]string{}
	for _, trigger := range keda.Spec.Triggers {
		found[trigger.Name] = trigger.Metadata.Query
	}
	return found
}

func TestEveryQueueScales(t *testing.T) {
	t.Parallel()
	var (
		keda    scaledObject
		hpa     autoscaler
		adapter adapterValues
	)
	manifest(t, "keda-scaledobject.yaml", &keda)
	manifest(t, "hpa.yaml", &hpa)
	manifest(t, "prometheus-adapter-values.yaml", &adapter)
	queues := jobs.Queues()
	require.Len(t, keda.Spec.Triggers, 2*len(queues))
	require.Len(t, hpa.Spec.Metrics, 2*len(queues))
	require.Len(t, adapter.Rules.External, 2*len(queues))
	for i, queue := range queues {
		target := time.Duration(0)
		for _, kind := range jobs.Catalog() {
			if kind.Queue == queue.Name && (target == 0 || kind.Policy.Target < target) {
				target = kind.Policy.Target
			}
		}
		load, age := keda.Spec.Triggers[2*i], keda.Spec.Triggers[2*i+1]
		require.Equal(t, queue.Name+"-load AverageValue", load.Name+" "+load.MetricType)
		require.Equal(t, queue.Name+"-age Value", age.Name+" "+age.MetricType)
		require.Equal(t, "0.7", load.Metadata.Threshold)
		require.Equal(t, secondsOf(target), age.Metadata.Threshold)
		for _, trigger := range []string{load.Metadata.IgnoreNullValues, age.Metadata.IgnoreNullValues} {
			require.Equal(t, "false", trigger, "no data is not idle")
		}

		require.Equal(t, queue.Name+"_workers_filled", hpa.Spec.Metrics[2*i].External.Metric.Name)
		require.Equal(t, load.Metadata.Threshold, hpa.Spec.Metrics[2*i].External.Target.AverageValue)
		require.Equal(t, queue.Name+"_wait_seconds", hpa.Spec.Metrics[2*i+1].External.Metric.Name)
		require.Equal(t, age.Metadata.Threshold, hpa.Spec.Metrics[2*i+1].External.Target.Value)
		for n, query := range []string{load.Metadata.Query, age.Metadata.Query} {
			rule := adapter.Rules.External[2*i+n]
			require.Equal(t, query, rule.Query, "KEDA and the adapter ask the same")
			require.Equal(t, hpa.Spec.Metrics[2*i+n].External.Metric.Name, rule.Name.As)
			require.Contains(t, rule.SeriesQuery, strconv.Quote(queue.Name))
			require.NotContains(t, query, " or ", "a default would hide that nobody reports")
		}
	}
	require.Equal(t, keda.Spec.Advanced.Config.Behavior, hpa.Spec.Behavior)
	require.Equal(t, []int{keda.Spec.MinReplicaCount, keda.Spec.MaxReplicaCount}, []int{hpa.Spec.MinReplicas, hpa.Spec.MaxReplicas})
	require.Positive(t, keda.Spec.MinReplicaCount, "somebody must lead")
	require.Equal(t, keda.Spec.MinReplicaCount, keda.Spec.Fallback.Replicas)
}

func TestAutoscalersAskForWhatTheProgramsRegister(t *testing.T) {
	t.Parallel()
	registered := metrics(t)
	for _, query := range queries(t) {
		requireKnown(t, registered, strings.ReplaceAll(query, " bool ", " "))
	}
}

// `millrace workers advise` reads metrics by name too.
func TestAdviceReadsWhatTheProgramsRegister(t *testing.T) {
	t.Parallel()
	registered := metrics(t)
	for name, label := range observe.Metrics() {
		labels, ok := registered[base(registered, name)]
		require.True(t, ok, "no program registers %s", name)
		if label != "" {
			require.Contains(t, labels, label, name)
		}
	}
}

func TestTheDeploymentRunsAWorker(t *testing.T) {
	t.Parallel()
	var (
		d      deployment
		budget disruptionBudget
		hpa    autoscaler
		keda   scaledObject
	)
	manifest(t, "deployment.yaml", &d, &budget)
	manifest(t, "hpa.yaml", &hpa)
	manifest(t, "keda-scaledobject.yaml", &keda)
	require.Equal(t, d.Metadata.Name, hpa.Spec.ScaleTargetRef.Name)
	require.Equal(t, d.Metadata.Name, keda.Spec.ScaleTargetRef.Name)
	pod := d.Spec.Template
	require.Equal(t, d.Spec.Selector.MatchLabels, pod.Metadata.Labels)
	require.Equal(t, d.Spec.Selector.MatchLabels, budget.Spec.Selector.MatchLabels)
	require.Greater(t, time.Duration(pod.Spec.Grace)*time.Second, workers.DefaultStopTimeout+10*time.Second, "a worker stops before it is killed")

	// The environment that the manifest speaks of is one that a worker starts with.
	worker := pod.Spec.Containers[0]
	text, err := os.ReadFile(filepath.Join("autoscaling", "deployment.yaml"))
	require.NoError(t, err)
	sample := map[string]string{
		"DATABASE_URL": "postgres://db/millrace", "STRIPE_SECRET_KEY": "sk_test_x", "RESEND_API_KEY": "re_x", "EMAIL_FROM": "a@acme.example",
		"ENCRYPTION_KEYS": "k:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
	}
	var environ []string
	for name, value := range sample {
		require.Contains(t, string(text), name)
		environ = append(environ, name+"="+value)
	}
	for _, variable := range worker.Env {
		environ = append(environ, variable.Name+"="+variable.Value)
	}
	cfg, err := config.Load[config.Worker](environ)
	require.NoError(t, err)
	require.Equal(t, ":"+strconv.Itoa(worker.Ports[0].ContainerPort), cfg.MetricsAddr)
	require.Equal(t, strconv.Itoa(worker.Ports[0].ContainerPort), pod.Metadata.Annotations["prometheus.io/port"])
	require.True(t, slices.Equal(worker.Command, []string{"worker"}))
}
