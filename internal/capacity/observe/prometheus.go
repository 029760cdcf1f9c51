package observe

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/client_golang/api"
	prom "github.com/prometheus/client_golang/api/prometheus/v1"
	"github.com/prometheus/common/model"
)

// queryTimeout bounds one query.
const queryTimeout = 10 * time.Second

// Prometheus is a server that scrapes the processes.
type Prometheus struct {
	api    prom.API
	window time.Duration
}

// NewPrometheus returns the server at a URL. Rates are over the window, which
// must hold two scrapes at least.
func NewPrometheus(url string, window time.Duration) (*Prometheus, error) {
	client, err := api.NewClient(api.Config{Address: url})
	if err != nil {
		return nil, fmt.Errorf("observe: the address of Prometheus: %w", err)
	}
	return &Prometheus{api: prom.NewAPI(client), window: window}, nil
}

func (p *Prometheus) read(ctx context.Context, s signal) ([]value, error) {
	result, _, _, err := p.api.Query(ctx, s.promQL(int(p.window.Seconds())), time.Time{}, prom.WithTimeout(queryTimeout))
	if err != nil {
		return nil, fmt.Errorf("observe: Prometheus: %w", err)
	}
	vector, ok := result.(model.Vector)
	if !ok {
		return nil, errors.New("observe: Prometheus answered with something else than a vector")
	}
	values := make([]value, 0, len(vector))
	for _, sample := range vector {
		v := value{labels: make(map[string]string, len(sample.Metric)), value: float64(sample.Value)}
		if math.IsNaN(v.value) || math.IsInf(v.value, 0) {
			continue
		}
		for name, text := range sample.Metric {
			v.labels[string(name)] = string(text)
		}
		values = append(values, v)
	}
	return values, nil
}
