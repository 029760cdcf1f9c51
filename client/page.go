package client

import (
	"iter"
	"net/url"
	"strconv"
)

// pagePath is the address of a page of a list. Zero values, those of filters
// too, are left to the server.
func pagePath(list string, limit int, token string, filters map[string]string) string {
	query := url.Values{}
	set := func(name, value string) {
		if value != "" {
			query.Set(name, value)
		}
	}
	for name, value := range filters {
		set(name, value)
	}
	set("page_token", token)
	if limit != 0 {
		query.Set("limit", strconv.Itoa(limit))
	}
	if len(query) == 0 {
		return list
	}
	return list + "?" + query.Encode()
}

// pages yields what is on the page that token asks for and on all after it,
// reading a page when it is needed. An error ends it. Each range over it starts
// at token.
func pages[T any](token string, read func(token string) (items []T, next string, err error)) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		for at := token; ; {
			items, next, err := read(at)
			if err != nil {
				var none T
				yield(none, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			if next == "" {
				return
			}
			at = next
		}
	}
}
