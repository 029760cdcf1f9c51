package rollup

import (
	"context"

	"github.com/jackc/pgx/v5"

	"millrace/internal/postgres"
)

// Metric is a name that a tenant has series of.
type Metric struct {
	Name   string `json:"name" example:"checkout.latency"`
	Series int64  `json:"series" doc:"How many series have the name." example:"3"`
}

// Names lists up to limit names that begin with the prefix and come after another,
// in their order.
func (q *Querier) Names(ctx context.Context, tenant, prefix, after string, limit int) ([]Metric, error) {
	var list []Metric
	err := q.db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Metric])
		return err
	}, `
		SELECT name, count(*) FROM metric_series
		WHERE tenant_id = $1 AND name > $2 AND starts_with(name, $3)
		GROUP BY name ORDER BY name LIMIT $4`, tenant, after, prefix, limit)
	return list, postgres.Fault(err)
}

// Tag is a name of tags, with values that series have.
type Tag struct {
	Name   string   `json:"name" example:"region"`
	Values []string `json:"values" doc:"Up to 100 values, in their order." example:"[\"eu\",\"us\"]"`
	More   bool     `json:"more" doc:"Whether there are more values."`
}

// Bounds of a list of tags.
const (
	maxTagValues = 100
	maxTagNames  = 1000
)

// Tags lists the tags of a metric's series, of the first 10,000 of them, with up to
// 100 values each.
func (q *Querier) Tags(ctx context.Context, tenant, name string) ([]Tag, error) {
	var list []Tag
	err := q.db.Query(ctx, tenant, func(rows pgx.Rows) error {
		var err error
		list, err = pgx.CollectRows(rows, pgx.RowToStructByPos[Tag])
		return err
	}, `
		SELECT key, (array_agg(value ORDER BY value))[1:$3], count(*) > $3
		FROM (
			SELECT DISTINCT tag.key, tag.value
			FROM (SELECT tags FROM metric_series WHERE tenant_id = $1 AND name = $2 ORDER BY id LIMIT $4) AS series, jsonb_each_text(series.tags) AS tag
		) AS pair
		GROUP BY key ORDER BY key LIMIT $5`, tenant, name, maxTagValues, maxSeries, maxTagNames)
	return list, postgres.Fault(err)
}

// ParseName returns a metric's name normalised; ok is false when it is none.
func ParseName(text string) (name string, ok bool) {
	s, _, problem := normalise(text, nil)
	return s.Name, problem == ""
}

// ParseTags returns tags normalised; problem says what is wrong with them.
func ParseTags(tags map[string]string) (normal map[string]string, problem string) {
	return normaliseTags(tags)
}
