package api

import (
	"context"
	"crypto/sha256"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"millrace/internal/apikey"
	"millrace/internal/ratelimit"
	"millrace/internal/rollup"
	"millrace/internal/screen"
)

const (
	metricsPath = "/v1/metrics"
	// maxPointsBody bounds a request of points: 10,000 of 400 bytes.
	maxPointsBody = 4 << 20
)

type pointsInput struct {
	IdempotencyKey  string `header:"Idempotency-Key" doc:"Your own id of this request, remembered for 7 days. Repeating it with the same key adds nothing and answers the same; with other points it is a 422." maxLength:"255"`
	ContentType     string `header:"Content-Type" hidden:"true"`
	ContentEncoding string `header:"Content-Encoding" hidden:"true"`
	RawBody         []byte `contentType:"application/json"`
}

type pointsOutput struct {
	Replayed string `header:"Idempotent-Replayed" doc:"true when an earlier request with this key is answered for."`
	Body     struct {
		Accepted int `json:"accepted" doc:"How many points were accepted: all of the request." example:"2"`
	}
}

// metrics adds the routes of points and of what was made of them.
func (s *Server) metricRoutes(api huma.API) {
	op := post(metricsPath, "Send metric points")
	op.Description = "All points of a request are accepted and durable, or none. They count in what is read at once, before they are folded into buckets."
	op.DefaultStatus = http.StatusAccepted
	op.MaxBodyBytes = bodyLimit(maxPointsBody)
	countedAs(&op, ratelimit.Metrics)
	op.Errors = append(op.Errors, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity)
	register(s, api, op, apikey.MetricsWrite, s.recordPoints)
	requestSchema(api, metricsPath, pointsSchema(api.OpenAPI().Components.Schemas))
	register(s, api, tagged(get(metricsPath, "Read a metric over time")), apikey.JobsRead, s.metricSeries)
	register(s, api, tagged(get(metricsPath+"/latest", "Read the newest value of each series of a metric")), apikey.JobsRead, s.latestMetrics)
	register(s, api, tagged(get(metricsPath+"/top", "Read the series of a metric with the greatest values")), apikey.JobsRead, s.topMetrics)
	register(s, api, get(metricsPath+"/names", "List the names of metrics"), apikey.JobsRead, s.metricNames)
	register(s, api, get(metricsPath+"/tags", "List the tags of a metric, with their values"), apikey.JobsRead, s.metricTags)
	s.submission(api, metricsPath+"/rollups", s.kinds["metric_rollup"])
}

// recordPoints answers when the points are durable.
func (s *Server) recordPoints(ctx context.Context, in *pointsInput) (*pointsOutput, error) {
	if err := jsonBody(in.ContentType, in.ContentEncoding, in.RawBody, maxPointsBody); err != nil {
		return nil, err
	}
	if err := checkKey(in.IdempotencyKey, false); err != nil {
		return nil, err
	}
	now := s.opts.Now()
	points, err := s.points.reader.Read(in.RawBody, now)
	if err != nil {
		return nil, err
	}
	if refusesPHI(ctx) {
		if err := screen.Refuse(tagValues(points), tagTypes()...); err != nil {
			return nil, err
		}
	}
	var hash [sha256.Size]byte
	if in.IdempotencyKey != "" {
		hash = rollup.Hash(points)
	}
	receipt, err := s.points.recorder.Record(ctx, principal(ctx).Tenant, in.IdempotencyKey, hash, points, now)
	if err != nil {
		return nil, err
	}
	out := &pointsOutput{}
	out.Body.Accepted = receipt.Points
	if receipt.Replayed {
		out.Replayed = strconv.FormatBool(true)
	} else {
		s.metrics.points.Add(float64(receipt.Points))
	}
	return out, nil
}

// points is what the routes of metrics work with.
type points struct {
	reader   *rollup.Reader
	recorder *rollup.Recorder
	querier  *rollup.Querier
}
