package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/internal/config"
	"millrace/internal/telemetry"
)

func TestTracingIsOnWhenItIsToldWhere(t *testing.T) {
	t.Parallel()
	const endpoint = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318"
	for name, c := range map[string]struct {
		environ []string
		want    config.Tracing
	}{
		"nothing":                       {},
		"only how, not where":           {environ: []string{"OTEL_SERVICE_NAME=x", "OTEL_TRACES_SAMPLER=always_on"}},
		"wrong, but off":                {environ: []string{"OTEL_TRACES_SAMPLER=jaeger_remote", "OTEL_PROPAGATORS=b3"}},
		"none":                          {environ: []string{endpoint, "OTEL_TRACES_EXPORTER=none"}},
		"disabled":                      {environ: []string{endpoint, "OTEL_TRACES_EXPORTER=otlp", "OTEL_SDK_DISABLED=TRUE"}},
		"not disabled":                  {environ: []string{endpoint, "OTEL_SDK_DISABLED=false"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPHTTP}},
		"an exporter":                   {environ: []string{"OTEL_TRACES_EXPORTER=otlp"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPHTTP}},
		"an endpoint":                   {environ: []string{endpoint}, want: config.Tracing{TracesTo: telemetry.TracesOTLPHTTP}},
		"an endpoint of traces":         {environ: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=https://collector/v1/traces"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPHTTP}},
		"grpc":                          {environ: []string{endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPGRPC}},
		"grpc for traces":               {environ: []string{endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=http/json", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=grpc"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPGRPC}},
		"grpc, but for others":          {environ: []string{endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/protobuf"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPHTTP}},
		"console":                       {environ: []string{endpoint, "OTEL_TRACES_EXPORTER=console"}, want: config.Tracing{TracesTo: telemetry.TracesConsole}},
		"callers":                       {environ: []string{endpoint, "OTEL_PROPAGATORS=tracecontext,baggage"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPHTTP}},
		"no callers":                    {environ: []string{endpoint, "OTEL_PROPAGATORS=none"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPHTTP, IgnoreCallers: true}},
		"no callers, as only baggage":   {environ: []string{endpoint, "OTEL_PROPAGATORS=baggage"}, want: config.Tracing{TracesTo: telemetry.TracesOTLPHTTP, IgnoreCallers: true}},
		"empty is as if it was not set": {environ: []string{"OTEL_EXPORTER_OTLP_ENDPOINT=", "OTEL_TRACES_EXPORTER=", "OTEL_SDK_DISABLED="}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := config.Load[config.Worker](worker(c.environ...))
			require.NoError(t, err)
			require.Equal(t, c.want, got.Tracing)
			dev, err := config.Load[config.Dev](c.environ)
			require.NoError(t, err)
			require.Equal(t, c.want, dev.Tracing)
			intake, err := config.Load[config.Intake](append([]string{"DATABASE_URL=postgres://h/db"}, c.environ...))
			require.NoError(t, err)
			require.Equal(t, c.want, intake.Tracing)
		})
	}
}

func TestTracingNamesTheVariableAndNotItsValue(t *testing.T) {
	t.Parallel()
	numbers := []string{"hunter2", "1.5", " 1"}
	positive := append([]string{"0", "-1"}, numbers...)
	wrong := map[string][]string{
		"OTEL_SDK_DISABLED":        {"hunter2", "1"},
		"OTEL_TRACES_EXPORTER":     {"hunter2", "jaeger", "otlp,console", "OTLP"},
		"OTEL_TRACES_SAMPLER":      {"hunter2", "parentbased_jaeger_remote"},
		"OTEL_TRACES_SAMPLER_ARG":  {"hunter2", "1.1", "-0.1", "NaN", "10%"},
		"OTEL_PROPAGATORS":         {"hunter2", "b3", "tracecontext,b3", "none,tracecontext", ","},
		"OTEL_RESOURCE_ATTRIBUTES": {"hunter2", "a=b,hunter2", "=hunter2", "a=%zzhunter2", "a=b,"},
		"OTEL_BSP_SCHEDULE_DELAY":  positive, "OTEL_BSP_EXPORT_TIMEOUT": positive, "OTEL_BSP_MAX_QUEUE_SIZE": positive, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": positive,
		"OTEL_ATTRIBUTE_COUNT_LIMIT": numbers, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT": numbers, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": numbers,
		"OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT": numbers, "OTEL_SPAN_EVENT_COUNT_LIMIT": numbers, "OTEL_SPAN_LINK_COUNT_LIMIT": numbers,
		"OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT": numbers, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT": numbers,
	}
	text := filepath.Join(t.TempDir(), "hunter2.pem")
	require.NoError(t, os.WriteFile(text, []byte("hunter2"), 0o600))
	for _, prefix := range []string{"OTEL_EXPORTER_OTLP_", "OTEL_EXPORTER_OTLP_TRACES_"} {
		wrong[prefix+"ENDPOINT"] = []string{"hunter2:4318", "ftp://hunter2", "http://", "//hunter2"}
		wrong[prefix+"PROTOCOL"] = []string{"hunter2", "http"}
		wrong[prefix+"HEADERS"] = []string{"hunter2", "a=1,hunter2", "a b=hunter2", "a=hunter2%0Ab", "authorization=%zzhunter2"}
		wrong[prefix+"COMPRESSION"] = []string{"hunter2", "zstd"}
		wrong[prefix+"TIMEOUT"] = positive
		wrong[prefix+"INSECURE"] = []string{"hunter2", "yes"}
		wrong[prefix+"CERTIFICATE"] = []string{text, "/nowhere/hunter2"}
		wrong[prefix+"CLIENT_CERTIFICATE"] = []string{text, "/nowhere/hunter2"}
		wrong[prefix+"CLIENT_KEY"] = []string{text, "/nowhere/hunter2"}
	}
	for _, name := range config.TracingVariables() {
		require.NotEmpty(t, wrong[name], "%s: say what is wrong", name)
	}
	for name, values := range wrong {
		for _, value := range values {
			_, err := config.Load[config.Worker](worker("OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", name+"="+value))
			require.ErrorContains(t, err, name, value)
			require.ErrorContains(t, err, " is wrong: ", value)
			require.NotContains(t, err.Error(), "hunter2")
			require.NotContains(t, err.Error(), "\n")
		}
	}
}

func TestTracingTakesWhatIsRight(t *testing.T) {
	t.Parallel()
	_, err := config.Load[config.Worker](worker(
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://collector.example.com:4317", "OTEL_EXPORTER_OTLP_HEADERS=authorization=Bearer%20hunter2,x-scope=a",
		"OTEL_EXPORTER_OTLP_COMPRESSION=gzip", "OTEL_EXPORTER_OTLP_TIMEOUT=10000", "OTEL_EXPORTER_OTLP_INSECURE=False",
		"OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.05", "OTEL_RESOURCE_ATTRIBUTES=deployment.environment.name=prod,a=b%2Cc",
		"OTEL_BSP_MAX_QUEUE_SIZE=4096", "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT=-1",
	))
	require.NoError(t, err)
}
