package client

import (
	"context"
	"net/http"
)

const scanPath = "/v1/compliance/scan"

// PHIFinding is what identifies a person in a text. Start and End are offsets in
// Unicode code points, the end excluded.
type PHIFinding struct {
	// Type is its category, such as NAME or EMAIL.
	Type  string `json:"type"`
	Start int    `json:"start"`
	End   int    `json:"end"`
	// Field is where the text stands in a refused request (see Error.PHI), such as
	// messages[2].content. Start and End count in it as it was sent.
	Field string `json:"field,omitzero"`
}

// PHIScan is what a text holds.
type PHIScan struct {
	// Findings are in order.
	Findings []PHIFinding `json:"findings"`
	// Categories counts them.
	Categories map[string]int `json:"categories"`
	// Masked is the text with a placeholder such as [NAME_1] in place of each.
	Masked string `json:"masked"`
}

// ScanPHI finds what identifies a person in a text, as conversations are masked of
// it. The server stores nothing of it. The key needs the scope jobs:read.
func (c *Client) ScanPHI(ctx context.Context, text string) (*PHIScan, error) {
	body, err := encode(map[string]string{"text": text})
	if err != nil {
		return nil, err
	}
	var scan PHIScan
	if err := c.call(ctx, request{method: http.MethodPost, path: scanPath, body: body}, &scan); err != nil {
		return nil, err
	}
	return &scan, nil
}
