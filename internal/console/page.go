package console

import (
	"bytes"
	_ "embed"
	"maps"
	"net/http"
	"strings"
)

// script is what the pages get beside River UI's own.
//
//go:embed console.js
var script []byte

// page answers with a page of River UI's or a part of one, which come with the program.
func (c *Console) page(w http.ResponseWriter, r *http.Request) {
	own := c.path + "/console.js"
	switch {
	case r.URL.Path == own:
		w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
		_, _ = w.Write(script)
		return
	case strings.HasPrefix(r.URL.Path, c.path+"/assets/"):
		c.ui.ServeHTTP(w, r)
		return
	}
	rec := &recorder{header: http.Header{}, status: http.StatusOK}
	c.ui.ServeHTTP(rec, r)
	body := rec.body.Bytes()
	if strings.HasPrefix(rec.header.Get("Content-Type"), "text/html") {
		// Modules run after it, wherever they stand.
		body = bytes.Replace(body, []byte("</head>"), []byte(`<script src="`+own+`"></script></head>`), 1)
		rec.header.Del("Content-Length")
	}
	maps.Copy(w.Header(), rec.header)
	w.WriteHeader(rec.status)
	_, _ = w.Write(body) // who asked may be gone
}
