package mailbox

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
)

func (m *Mailbox) routes() *http.ServeMux {
	mux := http.NewServeMux()
	// Resend's.
	mux.HandleFunc("POST /emails", m.postEmail)
	mux.HandleFunc("GET /emails/{id}", m.getEmail)
	mux.HandleFunc("/", notFound)
	// A person's.
	mux.HandleFunc("GET /{$}", local(m.getList))
	mux.HandleFunc("GET /mails/{id}", local(m.getMail))
	mux.HandleFunc("GET /mails/{id}/html", local(m.getHTML))
	mux.HandleFunc("GET /mails/{id}/attachments/{n}", local(m.getAttachment))
	// A drill's.
	mux.HandleFunc("GET /_sandbox/mails", local(m.getMails))
	mux.HandleFunc("GET /_sandbox/requests", local(m.getRequests))
	mux.HandleFunc("GET /_sandbox/events", local(m.getEvents))
	mux.HandleFunc("POST /_sandbox/events/{id}/redeliver", local(m.postRedeliver))
	mux.HandleFunc("GET /_sandbox/faults", local(m.getFaults))
	mux.HandleFunc("POST /_sandbox/faults", local(m.postFaults))
	mux.HandleFunc("DELETE /_sandbox/faults", local(m.deleteFaults))
	return mux
}

func notFound(w http.ResponseWriter, _ *http.Request) {
	refuse(http.StatusNotFound, "not_found", "The requested endpoint does not exist.").write(w)
}

// local keeps what needs no key from everyone but this machine, and from pages
// elsewhere that a browser on this machine shows: their name may point here, but
// it is no local name.
func local(h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		from, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil || !isLoopback(from) || !isLocalName(r.Host) {
			writeProblem(w, http.StatusForbidden, "this answers on loopback addresses only")
			return
		}
		if r.Method != http.MethodGet && strings.EqualFold(r.Header.Get("Sec-Fetch-Site"), "cross-site") {
			writeProblem(w, http.StatusForbidden, "another site's page may not do this")
			return
		}
		h(w, r)
	}
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

func isLocalName(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return isLoopback(host) || host == "localhost" || strings.HasSuffix(host, ".localhost")
}

// getMails answers {"mails": [Mail…]}, oldest first, filtered by a part of to and
// by key.
func (m *Mailbox) getMails(w http.ResponseWriter, r *http.Request) {
	to, key := r.URL.Query().Get("to"), r.URL.Query().Get("key")
	out := []Mail{}
	for _, mail := range m.Mails() {
		if strings.Contains(strings.Join(mail.To, ","), to) && (key == "" || mail.Key == key) {
			out = append(out, mail)
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{"mails": out})
}

// getRequests answers {"total": N, "requests": [Request…]}, oldest first.
func (m *Mailbox) getRequests(w http.ResponseWriter, _ *http.Request) {
	requests := m.Requests()
	writeJSON(w, http.StatusOK, map[string]any{"total": len(requests), "requests": requests})
}

// getEvents answers {"events": [Event…]}, oldest first.
func (m *Mailbox) getEvents(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"events": m.Events()})
}

// postRedeliver takes no body and answers {"id"}: the event is on its way.
func (m *Mailbox) postRedeliver(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	switch err := m.Redeliver(id); {
	case errors.Is(err, ErrNoSuchEvent):
		writeProblem(w, http.StatusNotFound, err.Error())
	case err != nil:
		writeProblem(w, http.StatusConflict, err.Error())
	default:
		writeJSON(w, http.StatusAccepted, map[string]string{"id": id})
	}
}

// getFaults answers {"faults": [Fault…], "kinds": [FaultKind…]}.
func (m *Mailbox) getFaults(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"faults": m.Faults(), "kinds": FaultKinds()})
}

// postFaults takes a list of rules and adds them behind those that are there.
func (m *Mailbox) postFaults(w http.ResponseWriter, r *http.Request) {
	var rules []Fault
	decoder := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&rules); err != nil {
		writeProblem(w, http.StatusBadRequest, err.Error())
		return
	}
	if err := m.Inject(rules...); err != nil {
		writeProblem(w, http.StatusBadRequest, err.Error())
		return
	}
	m.getFaults(w, r)
}

func (m *Mailbox) deleteFaults(w http.ResponseWriter, _ *http.Request) {
	m.ClearFaults()
	w.WriteHeader(http.StatusNoContent)
}

func writeProblem(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]string{"error": message})
}
