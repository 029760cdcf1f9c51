package telemetry

import (
	"log/slog"
	"net/http"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// NewRegistry returns a registry with the metrics that every program has: Go,
// process and build information.
func NewRegistry(version string) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "millrace_build_info", Help: "Always 1; the labels say what is running.",
		ConstLabels: prometheus.Labels{"version": version, "go_version": runtime.Version()},
	})
	build.Set(1)
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), build)
	return registry
}

// MustRegisterPool adds the state of a connection pool under the given name.
func MustRegisterPool(registry prometheus.Registerer, name string, pool *pgxpool.Pool) {
	registry.MustRegister(&poolCollector{
		pool: pool,
		inUse: prometheus.NewDesc("millrace_pool_connections_in_use", "Connections that are working for somebody.",
			nil, prometheus.Labels{"pool": name}),
		limit: prometheus.NewDesc("millrace_pool_connections_limit", "The most connections that the pool opens.",
			nil, prometheus.Labels{"pool": name}),
		waits: prometheus.NewDesc("millrace_pool_waits_total", "Times that somebody waited for a connection.",
			nil, prometheus.Labels{"pool": name}),
	})
}

type poolCollector struct {
	pool                *pgxpool.Pool
	inUse, limit, waits *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (c *poolCollector) Describe(descs chan<- *prometheus.Desc) {
	descs <- c.inUse
	descs <- c.limit
	descs <- c.waits
}

// Collect implements prometheus.Collector.
func (c *poolCollector) Collect(metrics chan<- prometheus.Metric) {
	stat := c.pool.Stat()
	metrics <- prometheus.MustNewConstMetric(c.inUse, prometheus.GaugeValue, float64(stat.AcquiredConns()))
	metrics <- prometheus.MustNewConstMetric(c.limit, prometheus.GaugeValue, float64(stat.MaxConns()))
	metrics <- prometheus.MustNewConstMetric(c.waits, prometheus.CounterValue, float64(stat.EmptyAcquireCount()))
}

// MetricsServer returns the server of GET /metrics, for a listener of its own.
func MetricsServer(gatherer prometheus.Gatherer, logger *slog.Logger) *http.Server {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(gatherer, promhttp.HandlerOpts{
		ErrorLog: slog.NewLogLogger(logger.Handler(), slog.LevelWarn), // a scraper that hangs up is one
	}))
	return &http.Server{
		Handler:           mux,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    16 << 10,
		ErrorLog:          slog.NewLogLogger(logger.Handler(), slog.LevelWarn),
	}
}
