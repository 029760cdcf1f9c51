package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"

	"millrace/internal/telemetry"
)

// Tracing configures tracing by OpenTelemetry's standard variables
// (https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/).
// It is off unless OTEL_TRACES_EXPORTER names an exporter or an OTLP endpoint is set,
// and then the other variables are not looked at.
type Tracing struct {
	// TracesTo is where spans are sent.
	TracesTo telemetry.TracesTo
	// IgnoreCallers says that the traces that callers have begun are not continued.
	IgnoreCallers bool
}

const (
	otlpPrefix   = "OTEL_EXPORTER_OTLP_"
	tracesPrefix = "OTEL_EXPORTER_OTLP_TRACES_"
)

// otelVariable is one of the standard variables, and what it may be.
type otelVariable struct {
	name, is string
	valid    func(string) bool
}

// otelVariables lists what OpenTelemetry's SDK reads of tracing. It takes a default
// for a value that it does not understand; our programs stop at it.
func otelVariables() []otelVariable {
	list := []otelVariable{
		{"OTEL_TRACES_SAMPLER", "always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio", oneOf(
			"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio")},
		{"OTEL_TRACES_SAMPLER_ARG", "the share of traces to keep, from 0 to 1", isShare},
		{"OTEL_PROPAGATORS", "tracecontext, baggage (which nothing here uses) or none", isPropagators},
		{"OTEL_RESOURCE_ATTRIBUTES", "key=value,key=value, with special characters percent-encoded", isPairs},
	}
	for _, name := range []string{"SCHEDULE_DELAY", "EXPORT_TIMEOUT"} {
		list = append(list, otelVariable{"OTEL_BSP_" + name, "milliseconds", isPositive})
	}
	for _, name := range []string{"MAX_QUEUE_SIZE", "MAX_EXPORT_BATCH_SIZE"} {
		list = append(list, otelVariable{"OTEL_BSP_" + name, "a number of spans", isPositive})
	}
	for _, name := range []string{
		"ATTRIBUTE_COUNT", "ATTRIBUTE_VALUE_LENGTH", "SPAN_ATTRIBUTE_COUNT", "SPAN_ATTRIBUTE_VALUE_LENGTH", "SPAN_EVENT_COUNT", "SPAN_LINK_COUNT",
		"EVENT_ATTRIBUTE_COUNT", "LINK_ATTRIBUTE_COUNT",
	} {
		list = append(list, otelVariable{"OTEL_" + name + "_LIMIT", "a number", isNumber})
	}
	for _, prefix := range []string{otlpPrefix, tracesPrefix} {
		list = append(list, []otelVariable{
			{prefix + "ENDPOINT", "an http or https URL such as http://127.0.0.1:4318", isEndpoint},
			{prefix + "PROTOCOL", "http/protobuf, http/json or grpc", oneOf("http/protobuf", "http/json", protocolGRPC)},
			{prefix + "HEADERS", "name=value,name=value, with special characters percent-encoded", isHeaders},
			{prefix + "COMPRESSION", "gzip or none", oneOf("gzip", "none")},
			{prefix + "TIMEOUT", "milliseconds", isPositive},
			{prefix + "INSECURE", "true or false", isBool},
			{prefix + "CERTIFICATE", "the path of a file of certificates in PEM", isCertificates},
		}...)
	}
	return list
}

const protocolGRPC = "grpc"

// read implements what Load does beside struct tags: the SDK reads most of these by
// itself, from the same environment.
func (t *Tracing) read(environ map[string]string) error {
	disabled := environ["OTEL_SDK_DISABLED"]
	if disabled != "" && !isBool(disabled) {
		return errors.New("OTEL_SDK_DISABLED is wrong: it is true or false")
	}
	exporter := environ["OTEL_TRACES_EXPORTER"]
	if exporter == "" && (environ[otlpPrefix+"ENDPOINT"] != "" || environ[tracesPrefix+"ENDPOINT"] != "") {
		exporter = "otlp"
	}
	switch {
	case strings.EqualFold(disabled, "true"), exporter == "", exporter == "none":
		return nil
	case exporter == "console":
		t.TracesTo = telemetry.TracesConsole
	case exporter == "otlp":
		t.TracesTo = telemetry.TracesOTLPHTTP
		protocol := environ[tracesPrefix+"PROTOCOL"]
		if protocol == "" {
			protocol = environ[otlpPrefix+"PROTOCOL"]
		}
		if protocol == protocolGRPC {
			t.TracesTo = telemetry.TracesOTLPGRPC
		}
	default:
		return errors.New("OTEL_TRACES_EXPORTER is wrong: it is otlp, console or none")
	}
	t.IgnoreCallers = environ["OTEL_PROPAGATORS"] != "" && !slices.Contains(strings.Split(environ["OTEL_PROPAGATORS"], ","), "tracecontext")
	var problems []error
	for _, variable := range otelVariables() {
		if value := environ[variable.name]; value != "" && !variable.valid(value) {
			problems = append(problems, errors.New(variable.name+" is wrong: it is "+variable.is))
		}
	}
	for _, prefix := range []string{otlpPrefix, tracesPrefix} {
		certificate, key := environ[prefix+"CLIENT_CERTIFICATE"], environ[prefix+"CLIENT_KEY"]
		if certificate == "" && key == "" {
			continue
		}
		if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
			problems = append(problems, errors.New(prefix+"CLIENT_CERTIFICATE or "+prefix+"CLIENT_KEY is wrong: they are the paths of a certificate and of its key, in PEM"))
		}
	}
	return errors.Join(problems...)
}

func oneOf(values ...string) func(string) bool {
	return func(value string) bool { return slices.Contains(values, value) }
}

func isBool(value string) bool {
	return strings.EqualFold(value, "true") || strings.EqualFold(value, "false")
}

func isNumber(value string) bool {
	_, err := strconv.Atoi(value)
	return err == nil
}

func isPositive(value string) bool {
	n, err := strconv.Atoi(value)
	return err == nil && n > 0
}

func isShare(value string) bool {
	share, err := strconv.ParseFloat(value, 64)
	return err == nil && share >= 0 && share <= 1
}

func isPropagators(value string) bool {
	for name := range strings.SplitSeq(value, ",") {
		if name != "tracecontext" && name != "baggage" && (name != "none" || value != name) {
			return false
		}
	}
	return true
}

func isEndpoint(value string) bool { return base("", value) == nil }

// isPairs reports whether value is a list of pairs as in W3C Baggage.
func isPairs(value string) bool {
	for pair := range strings.SplitSeq(value, ",") {
		key, text, ok := strings.Cut(pair, "=")
		if _, err := url.PathUnescape(text); !ok || err != nil || strings.TrimSpace(key) == "" {
			return false
		}
	}
	return true
}

func isHeaders(value string) bool {
	if !isPairs(value) {
		return false
	}
	for pair := range strings.SplitSeq(value, ",") {
		name, text, _ := strings.Cut(pair, "=")
		text, _ = url.PathUnescape(text) // isPairs has looked
		if !httpguts.ValidHeaderFieldName(strings.TrimSpace(name)) || !httpguts.ValidHeaderFieldValue(text) {
			return false
		}
	}
	return true
}

func isCertificates(path string) bool {
	content, err := os.ReadFile(path) //nolint:gosec // the operator names it
	return err == nil && x509.NewCertPool().AppendCertsFromPEM(content)
}
