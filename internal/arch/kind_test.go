package arch_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"

	"millrace/internal/apikey"
	"millrace/internal/config"
	"millrace/internal/dbtest"
	"millrace/internal/mailbox"
	"millrace/internal/postgres"
	"millrace/internal/program/intakeserver"
	"millrace/internal/program/workerpool"
	"millrace/internal/sandbox"
	"millrace/internal/telemetry"
	"millrace/jobs"
)

func TestMain(m *testing.M) { os.Exit(dbtest.Main(m)) }

// TestEveryKindFollowsFromTheCatalogue submits each kind's sample to the
// generic door of the running programs, and looks for the kind wherever it is
// promised to appear.
func TestEveryKindFollowsFromTheCatalogue(t *testing.T) {
	t.Parallel()
	site := newSite(t)
	document := site.openAPI()
	for _, kind := range jobs.Catalog() {
		t.Run(kind.Name, func(t *testing.T) {
			t.Parallel()
			require.True(t, slices.ContainsFunc(jobs.Queues(), func(q jobs.Queue) bool { return q.Name == kind.Queue && q.Slots > 0 }))
			var queues config.Queues
			require.NoError(t, queues.UnmarshalText([]byte(kind.Queue+"=3")))
			if !kind.Public {
				return
			}
			require.Contains(t, document, kind.Name)
			require.Equal(t, kind.Summary, document[kind.Name])

			body, err := json.Marshal(map[string]any{"kind": kind.Name, "args": kind.Sample})
			require.NoError(t, err)
			status, answer := site.submit(t, body)
			require.Equal(t, http.StatusOK, status, answer)
			require.Contains(t, answer, `"state":"completed"`)

			families, err := site.registry.Gather()
			require.NoError(t, err)
			for _, name := range []string{"millrace_jobs_finished_total", "millrace_job_run_seconds", "millrace_job_wait_seconds"} {
				require.Contains(t, kindsOf(families, name), kind.Name, name)
			}
		})
	}
}

// kindsOf returns the values of a metric's label kind.
func kindsOf(families []*dto.MetricFamily, name string) []string {
	var kinds []string
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			for _, label := range metric.GetLabel() {
				if label.GetName() == "kind" {
					kinds = append(kinds, label.GetValue())
				}
			}
		}
	}
	return kinds
}

// raceFlag is -race in a test binary built with it: what the test builds then
// comes from the same build cache.
var raceFlag = "-race=false" //nolint:gochecknoglobals // set by a build tag

// TestAFifthKindTouchesThreeFiles adds the kind of CONTRIBUTING.md to the
// module, by overlay: it builds and works everywhere, and not without its worker.
func TestAFifthKindTouchesThreeFiles(t *testing.T) {
	t.Parallel()
	const jobFile, catalogFile, workerFile = "jobs/echo.go", "jobs/catalog.go", "workers/echo.go"
	guide := read(t, "CONTRIBUTING.md")
	files := map[string]string{
		jobFile:     example(t, guide, jobFile, "go"),
		workerFile:  example(t, guide, workerFile, "go"),
		catalogFile: patched(t, read(t, catalogFile), example(t, guide, catalogFile, "diff")),
	}
	kind := overlay(t, files)
	delete(files, workerFile)
	withoutWorker := overlay(t, files)

	t.Run("does not build without its worker", func(t *testing.T) {
		t.Parallel()
		output, err := goTool(t, "build", raceFlag, withoutWorker, "./workers")
		require.Error(t, err)
		require.Contains(t, output, "missing method Echo")
	})
	t.Run("builds and works", func(t *testing.T) {
		t.Parallel()
		output, err := goTool(t, "build", raceFlag, "-buildvcs=false", kind, "./cmd/intake", "./cmd/worker")
		require.NoError(t, err, output)
		output, err = goTool(t, "test", raceFlag, kind, "./jobs")
		require.NoError(t, err, output)
		drawn := t.TempDir()
		output, err = goTool(t, "run", raceFlag, kind, "./dashboards", drawn)
		require.NoError(t, err, output)
		dashboard, err := os.ReadFile(filepath.Join(drawn, "grafana", "queues.json")) //nolint:gosec // just written
		require.NoError(t, err)
		require.Contains(t, string(dashboard), "echoes")
		output, err = goTool(t, "test", raceFlag, kind, "-v", "-run", "^TestEveryKindFollowsFromTheCatalogue$", "./internal/arch")
		require.NoError(t, err, output)
		require.Contains(t, output, "--- PASS: TestEveryKindFollowsFromTheCatalogue/echo")
	})
}

// example returns the code block that follows the line about the file.
func example(t *testing.T, guide, file, language string) string {
	t.Helper()
	form := regexp.MustCompile("(?s)\n`" + regexp.QuoteMeta(file) + "`[^\n]*\n\n```" + language + "\n(.*?)```\n")
	found := form.FindStringSubmatch(guide)
	require.NotNil(t, found, "CONTRIBUTING.md shows %s", file)
	return found[1]
}

// patched puts each added line of a diff after the line that stands above it.
func patched(t *testing.T, text, diff string) string {
	t.Helper()
	above := ""
	for line := range strings.Lines(diff) {
		if added, ok := strings.CutPrefix(line, "+"); ok {
			require.Equal(t, 1, strings.Count(text, above), "%q stands once in the file", above)
			text = strings.Replace(text, above, above+added, 1)
			continue
		}
		above = strings.TrimPrefix(line, " ")
	}
	return text
}

// overlay returns the go command's flag that lays files over the module's.
func overlay(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	replace := map[string]string{}
	for path, text := range files {
		copied := filepath.Join(dir, path)
		write(t, copied, text)
		replace[filepath.Join(root(t), path)] = copied
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	require.NoError(t, err)
	write(t, filepath.Join(dir, "overlay.json"), string(list))
	return "-overlay=" + filepath.Join(dir, "overlay.json")
}

// site is the intake and worker programs on a database of their own.
type site struct {
	t        *testing.T
	url, key string
	registry *prometheus.Registry
}

func newSite(t *testing.T) *site {
	t.Helper()
	db := dbtest.New(t)
	_, key, err := apikey.Create(t.Context(), db.Tenancy(t, postgres.Owner),
		apikey.Request{Tenant: "alice", Scopes: []apikey.Scope{apikey.JobsRead, apikey.JobsWrite}}, time.Now())
	require.NoError(t, err)
	stripe, err := sandbox.NewStripe(sandbox.Options{})
	require.NoError(t, err)
	gateway := httptest.NewServer(stripe)
	mails := mailbox.New(mailbox.Options{})
	post := httptest.NewServer(mails)
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &site{t: t, url: "http://" + listener.Addr().String(), key: key.Reveal(), registry: prometheus.NewRegistry()}

	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return intakeserver.Run(ctx, intakeserver.Options{
			DatabaseURL: telemetry.Secret(db.URL), Listener: listener, Logger: dbtest.Logger(t), Registry: s.registry,
		})
	})
	group.Go(func() error {
		return workerpool.Run(ctx, workerpool.Options{
			DatabaseURL: telemetry.Secret(db.URL), Stripe: config.Stripe{Key: "sk_test_arch", APIBase: gateway.URL},
			Resend: config.Resend{ResendKey: "re_arch", ResendBase: post.URL, EmailFrom: "bookings@acme.example"},
			Logger: dbtest.Logger(t), Registry: s.registry,
		})
	})
	t.Cleanup(func() {
		stop()
		require.NoError(t, group.Wait())
		gateway.Close()
		post.Close()
		require.NoError(t, mails.Close())
		require.NoError(t, stripe.Close())
	})
	return s
}

// openAPI returns the kinds that the document lets POST /v1/jobs submit, with
// their descriptions.
func (s *site) openAPI() map[string]string {
	s.t.Helper()
	status, answer := s.do(s.t, http.MethodGet, "/openapi.json", nil)
	require.Equal(s.t, http.StatusOK, status)
	var document struct {
		Paths map[string]struct {
			Post struct {
				RequestBody struct {
					Content map[string]struct {
						Schema struct {
							OneOf []struct {
								Properties struct {
									Args map[string]any
									Kind struct {
										Enum        []string
										Description string
									}
								}
							}
						}
					}
				}
			}
		}
	}
	require.NoError(s.t, json.Unmarshal([]byte(answer), &document))
	kinds := map[string]string{}
	for _, alternative := range document.Paths["/v1/jobs"].Post.RequestBody.Content["application/json"].Schema.OneOf {
		require.NotEmpty(s.t, alternative.Properties.Args)
		for _, name := range alternative.Properties.Kind.Enum {
			kinds[name] = alternative.Properties.Kind.Description
		}
	}
	return kinds
}

// submit submits a job and waits for its outcome.
func (s *site) submit(t *testing.T, body []byte) (status int, answer string) {
	t.Helper()
	return s.do(t, http.MethodPost, "/v1/jobs", body)
}

func (s *site) do(t *testing.T, method, path string, body []byte) (status int, answer string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, s.url+path, bytes.NewReader(body))
	require.NoError(t, err)
	request.Header.Set("Authorization", "Bearer "+s.key)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Idempotency-Key", t.Name())
	request.Header.Set("Prefer", "wait=30")
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	defer func() { require.NoError(t, response.Body.Close()) }()
	text, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	return response.StatusCode, string(text)
}
