package api

import (
	"maps"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"millrace/internal/booking"
	"millrace/internal/rollup"
	"millrace/jobs"
)

// openAPI returns huma's configuration: our errors, JSON only, no pages that
// load scripts from elsewhere, no links added to bodies.
func openAPI(version string) huma.Config {
	humaErrors()
	config := huma.DefaultConfig("Millrace", version)
	config.Info.Description = "Submit work, poll or wait for its outcome. Every accepted submission is a durable job."
	config.DocsPath = ""
	config.SchemasPath = ""
	config.CreateHooks = nil
	config.Tags = []*huma.Tag{
		{Name: "payments", Description: "Charges and captures."},
		{Name: "calendar", Description: "When a tenant can be booked."},
		{Name: "slots", Description: "What is free."},
		{Name: "bookings", Description: "Appointments, and the mails about them."},
		{Name: "conversations", Description: "Conversations to score; personal data in them is masked before they are stored."},
		{Name: "scores", Description: "How satisfied users seem to be, and why."},
		{Name: "metrics", Description: "Points over time, and what they come down to."},
		{Name: "compliance", Description: "Personal data in texts."},
		{Name: "callbacks", Description: "What providers tell by themselves; signed."},
		{Name: "jobs", Description: "The state of everything that was submitted."},
		{Name: "server", Description: "Liveness and readiness."},
	}
	config.Components.Schemas = huma.NewMapRegistry("#/components/schemas/", func(t reflect.Type, hint string) string {
		if t == reflect.TypeFor[rollup.Point]() {
			return pointName
		}
		return huma.DefaultSchemaNamer(t, hint)
	})
	config.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"apiKey": {Type: "http", Scheme: "bearer", Description: "An API key (mrk_…) from `millrace keys create`, or a token (JWT) of the identity provider that the server takes those of."},
	}
	return config
}

// requestSchema describes the body of a submission. huma calls a raw body
// binary when it registers the operation, so this comes after.
func requestSchema(api huma.API, path string, schema *huma.Schema) {
	api.OpenAPI().Paths[path].Post.RequestBody.Content["application/json"].Schema = schema
}

// answerSchema describes the answers to a submission.
func answerSchema(op *huma.Operation, answer *huma.Schema) {
	op.DefaultStatus = http.StatusAccepted
	content := map[string]*huma.MediaType{"application/json": {Schema: answer}}
	op.Responses = map[string]*huma.Response{
		strconv.Itoa(http.StatusOK):       {Description: "Done within Prefer: wait.", Content: content},
		strconv.Itoa(http.StatusAccepted): {Description: "Accepted: the job is durable.", Content: content},
	}
	op.Errors = append(op.Errors, http.StatusPaymentRequired, http.StatusConflict, http.StatusRequestEntityTooLarge,
		http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
}

// calendarSchema describes the body of PUT /v1/calendar, which huma hands on raw.
func calendarSchema(registry huma.Registry) *huma.Schema {
	return huma.SchemaFromType(registry, reflect.TypeFor[booking.Calendar]())
}

// pointName is what the contract calls a metric point; a point of a sentiment's course
// has the plain name.
const pointName = "MetricPoint"

// pointsSchema describes the body of POST /v1/metrics.
func pointsSchema(registry huma.Registry) *huma.Schema {
	schema := *huma.SchemaFromType(registry, reflect.TypeFor[rollup.Request]())
	point := registry.Map()[pointName]
	point.Properties["value"] = &huma.Schema{
		Type: huma.TypeNumber, Description: point.Properties["value"].Description, Examples: []any{12.5},
	}
	schema.Examples = []any{map[string]any{"points": []map[string]any{
		{"name": "checkout.latency", "value": 12.5, "tags": map[string]string{"region": "eu"}, "at": "2026-01-31T09:30:00Z"},
		{"name": "checkout.latency", "value": 9, "tags": map[string]string{"region": "us"}},
	}}}
	return &schema
}

func optionsSchema(registry huma.Registry) *huma.Schema {
	return huma.SchemaFromType(registry, reflect.TypeFor[submissionOptions]())
}

// withOptions is the schema of a kind's input with the options beside it.
func withOptions(registry huma.Registry, kind *jobs.Kind) *huma.Schema {
	schema := *huma.SchemaFromType(registry, kind.Input())
	properties := map[string]*huma.Schema{}
	maps.Copy(properties, schema.Properties)
	maps.Copy(properties, optionsSchema(registry).Properties)
	schema.Properties = properties
	schema.Examples = []any{kind.Sample}
	return &schema
}

// anyKindSchema is the generic door's body: one alternative a public kind.
func anyKindSchema(registry huma.Registry) *huma.Schema {
	var alternatives []*huma.Schema
	for _, kind := range jobs.Catalog() {
		if !kind.Public {
			continue
		}
		properties := map[string]*huma.Schema{
			"kind": {Type: huma.TypeString, Enum: []any{kind.Name}, Description: kind.Summary},
			"args": huma.SchemaFromType(registry, kind.Input()),
		}
		maps.Copy(properties, optionsSchema(registry).Properties)
		alternatives = append(alternatives, &huma.Schema{
			Type: huma.TypeObject, Title: kind.Name, Properties: properties, Required: []string{"kind", "args"},
			AdditionalProperties: false,
			Examples:             []any{map[string]any{"kind": kind.Name, "args": kind.Sample}},
		})
	}
	return &huma.Schema{OneOf: alternatives}
}

// acceptedSchema is the answer to a submission: the job, and the kind's domain
// row under its name. Without a kind it may be any kind's.
func acceptedSchema(registry huma.Registry, only *jobs.Kind) *huma.Schema {
	schema := &huma.Schema{
		Type:       huma.TypeObject,
		Properties: map[string]*huma.Schema{"job": registry.Schema(reflect.TypeFor[Job](), true, "Job")},
		Required:   []string{"job"},
	}
	for _, kind := range jobs.Catalog() {
		if kind.Resource == "" || (only != nil && only.Name != kind.Name) {
			continue
		}
		schema.Properties[kind.Resource] = registry.Schema(kind.ResourceType(), true, kind.Resource)
	}
	return schema
}

func publicKinds() string {
	var names []string
	for _, kind := range jobs.Catalog() {
		if kind.Public {
			names = append(names, kind.Name)
		}
	}
	return strings.Join(names, ", ")
}
