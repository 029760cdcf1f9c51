package api

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"millrace/internal/apikey"
	"millrace/internal/fault"
	"millrace/internal/phi"
	"millrace/internal/rollup"
	"millrace/internal/screen"
	"millrace/internal/strictjson"
)

const scanPath = "/v1/compliance/scan"

// ScanRequest is what POST /v1/compliance/scan takes.
type ScanRequest struct {
	Text *string `json:"text" nullable:"false" doc:"What to look at. It is neither stored nor logged." example:"I am Jane Doe."`
}

type scanInput struct {
	ContentType     string `header:"Content-Type" hidden:"true"`
	ContentEncoding string `header:"Content-Encoding" hidden:"true"`
	RawBody         []byte `contentType:"application/json"`
}

type scanOutput struct {
	Body screen.Scanned
}

func (s *Server) complianceRoutes(api huma.API) {
	op := post(scanPath, "Find the personal data in a text, and mask it")
	op.Description = "It finds what conversations are masked of. Nothing is stored. Offsets count Unicode code points, the end excluded."
	op.DefaultStatus = http.StatusOK
	op.Errors = append(op.Errors, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType)
	register(s, api, op, apikey.JobsRead, s.scan)
	requestSchema(api, scanPath, api.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[ScanRequest](), true, ""))
}

func (*Server) scan(_ context.Context, in *scanInput) (*scanOutput, error) {
	if err := jsonBody(in.ContentType, in.ContentEncoding, in.RawBody, maxBody); err != nil {
		return nil, err
	}
	var request ScanRequest
	if err := strictjson.Decode(in.RawBody, &request); err != nil {
		return nil, err
	}
	var fields fault.Fields
	fields.Check(request.Text != nil, "text", "is required")
	if err := fields.Err(); err != nil {
		return nil, err
	}
	result, err := screen.Scan(*request.Text)
	return &scanOutput{Body: result}, err
}

// refusesPHI reports whether the tenant takes no personal data in free texts.
func refusesPHI(ctx context.Context) bool { return principal(ctx).Rules.PHI == apikey.PHIStrict }

// tagTypes are the categories that the values of tags are refused for: host names,
// versions, regions and times are what tags are for, and what the others look like.
func tagTypes() []phi.Type { return []phi.Type{phi.Email, phi.Fax, phi.Phone, phi.SSN} }

// tagValues tells the values of points' tags, each once: points share them.
func tagValues(points []rollup.Measured) iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		seen := map[string]struct{}{}
		for i, point := range points {
			for _, value := range point.Series.Tags {
				if _, again := seen[value]; again {
					continue
				}
				seen[value] = struct{}{}
				if !yield(fmt.Sprintf("points[%d].tags", i), value) {
					return
				}
			}
		}
	}
}
