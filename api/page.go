package api

import (
	"encoding/base64"
	"strings"

	"github.com/google/uuid"

	"millrace/internal/fault"
)

// pageInput asks for a page of domain rows, which are listed by id.
type pageInput struct {
	Limit     int    `query:"limit" doc:"How many to return." minimum:"1" maximum:"100" default:"20"`
	PageToken string `query:"page_token" doc:"next_page_token of the page before." maxLength:"64"`
}

// before returns the id below which the page begins; zero for the first.
func (in *pageInput) before(name string) (uuid.UUID, error) {
	if in.PageToken == "" {
		return uuid.Nil, nil
	}
	id, ours := pagePosition(in.PageToken, name)
	before, ok := newUUID(id)
	if !ours || !ok || before == uuid.Nil {
		return uuid.Nil, badPageToken()
	}
	return before, nil
}

// page cuts a list that was asked for with one row too many, and returns the
// token of the next page if there is one. The list is never null.
func page[R any](list []R, limit int, name string, position func(R) string) (rows []R, next string) {
	if len(list) > limit {
		list = list[:limit]
		next = pageToken(name, position(list[limit-1]))
	}
	return append([]R{}, list...), next
}

// pageToken writes where a page of the named list ends.
func pageToken(name, position string) string {
	return base64.RawURLEncoding.EncodeToString([]byte(name + ":" + position))
}

// pagePosition reads what pageToken wrote for the same list. ok is false for
// anything else.
func pagePosition(token, name string) (position string, ok bool) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	position, ours := strings.CutPrefix(string(text), name+":")
	return position, ours && err == nil
}

func badPageToken() error {
	var fields fault.Fields
	fields.Add("page_token", "must be the next_page_token of a page")
	return fields.Err()
}
