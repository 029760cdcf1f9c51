package client

import (
	"iter"
	"maps"
	"strconv"
)

// pagePath is the address of a page of a list. Zero values, those of filters
// too, are left to the server.
func pagePath(list string, limit int, token string, filters map[string]string) string {
	parameters := map[string]string{"page_token": token}
	maps.Copy(parameters, filters)
	if limit != 0 {
		parameters["limit"] = strconv.Itoa(limit)
	}
	return withQuery(list, parameters)
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
