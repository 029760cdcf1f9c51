package api

import (
	"context"

	"millrace/internal/fault"
)

// provider is who sends events to a callback.
type provider struct {
	label    string // in metrics
	name     string
	variable string // that holds the signing secret
}

type eventOutput struct {
	Body struct {
		Received bool `json:"received"`
	}
}

// The outcomes of an event, as metrics name them.
const (
	eventTaken    = "taken"
	eventRepeated = "repeated"
	eventIgnored  = "ignored"
	eventRefused  = "refused"
)

// event is the way of every delivery: it is verified, taken in, and counted by its
// outcome. Without a verifier (configured is false) all are refused. The provider is
// the actor of what take changes.
func (s *Server) event(
	ctx context.Context, from provider, configured bool, body []byte, verify func() error, take func(ctx context.Context) (outcome string, err error),
) (*eventOutput, error) {
	count := s.metrics.events.MustCurryWith(map[string]string{"provider": from.label})
	if !configured {
		count.WithLabelValues(eventRefused).Inc()
		return nil, fault.New(fault.Unavailable, "This server takes no events of "+from.name+": its operator has to set "+from.variable+".")
	}
	if len(body) > maxBody {
		return nil, tooLarge(maxBody)
	}
	if err := verify(); err != nil {
		count.WithLabelValues(eventRefused).Inc()
		return nil, err
	}
	outcome, err := take(actAs(ctx, "webhook:"+from.label))
	if err != nil {
		return nil, err
	}
	count.WithLabelValues(outcome).Inc()
	out := &eventOutput{}
	out.Body.Received = true
	return out, nil
}
