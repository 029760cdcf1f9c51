package main

import (
	"context"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"millrace/internal/apikey"
	"millrace/internal/postgres"
	"millrace/internal/rollup"
)

// settingsShown are a tenant's settings with what the defaults stand for.
type settingsShown struct {
	Tenant     string `json:"tenant"`
	MaxSeries  int    `json:"max_series"`
	RawDays    int    `json:"raw_days"`
	MinuteDays int    `json:"minute_days"`
	HourDays   int    `json:"hour_days"`
	// Default names the settings that are the default.
	Default []string `json:"default"`
}

// maxDays is the longest retention, some hundred years.
const maxDays = 36500

func (f *metricsFlags) settings() *cobra.Command {
	var (
		tenant string
		given  rollup.Settings
	)
	cmd := &cobra.Command{
		Use:   "settings --tenant TENANT",
		Short: "Show or change how much a tenant may send, and for how long what is kept",
		Long: `Show a tenant's limits, or change those that are given; 0 brings back the default.

It works in the database itself: DATABASE_URL's, else that of dev.env, with a login
that is a member of the role millrace_owner, as ` + "`millrace keys`" + ` does. Days are kept for
ever. Storage is dropped by the day for all tenants together: what one keeps for
longer, the disk keeps for all, but nothing is kept for less than the default.`,
		Example: `  millrace metrics settings --tenant acme
  millrace metrics settings --tenant acme --max-series 50000 --raw-days 14
  millrace metrics settings --tenant acme --raw-days 0`,
		Args: takes(0, 0, ""),
	}
	flags := cmd.Flags()
	flags.StringVar(&tenant, "tenant", "", "whose settings (required)")
	flags.IntVar(&given.MaxSeries, "max-series", 0, "how many series the tenant may have")
	flags.IntVar(&given.RawDays, "raw-days", 0, "for how long points are kept as they came in")
	flags.IntVar(&given.MinuteDays, "minute-days", 0, "for how long buckets of minutes are kept")
	flags.IntVar(&given.HourDays, "hour-days", 0, "for how long buckets of hours are kept")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		switch {
		case tenant == "":
			return misuse(cmd, "--tenant is missing")
		case !apikey.TenantID.MatchString(tenant):
			return misuse(cmd, "--tenant must have 1 to 63 of a-z, 0-9, _ and -, and begin with a letter or a digit")
		case given.MaxSeries < 0 || given.MaxSeries > 1<<31-1:
			return misuse(cmd, "--max-series must be from 0 to 2147483647")
		case min(given.RawDays, given.MinuteDays, given.HourDays) < 0 || max(given.RawDays, given.MinuteDays, given.HourDays) > maxDays:
			return misuse(cmd, "days must be from 0 to %d", maxDays)
		}
		return withOwner(cmd.Context(), f.environ, "millrace-metrics", "millrace metrics settings", func(ctx context.Context, db *postgres.Tenancy) error {
			keys, err := apikey.List(ctx, db, tenant)
			if err != nil {
				return err
			}
			if len(keys) == 0 {
				return &exitError{exitNotFound, fmt.Errorf("there is no tenant %s; `millrace keys create` makes one", tenant)}
			}
			now, err := rollup.Get(ctx, db, tenant)
			if err != nil {
				return err
			}
			changed := now
			for name, set := range map[string]func(){
				"max-series": func() { changed.MaxSeries = given.MaxSeries }, "raw-days": func() { changed.RawDays = given.RawDays },
				"minute-days": func() { changed.MinuteDays = given.MinuteDays }, "hour-days": func() { changed.HourDays = given.HourDays },
			} {
				if flags.Changed(name) {
					set()
				}
			}
			if changed != now {
				if err := rollup.Set(ctx, db, tenant, changed); err != nil {
					return err
				}
			}
			return f.showSettings(cmd, tenant, changed)
		})
	}
	return cmd
}

func (f *metricsFlags) showSettings(cmd *cobra.Command, tenant string, s rollup.Settings) error {
	const day = 24
	usual := rollup.DefaultRetention()
	shown := settingsShown{Tenant: tenant, Default: []string{}}
	rows := [][]string{{"tenant", tenant}}
	for _, setting := range []struct {
		name, unit  string
		into        *int
		own, common int
	}{
		{"max_series", "series", &shown.MaxSeries, s.MaxSeries, rollup.DefaultMaxSeries},
		{"raw_days", "days", &shown.RawDays, s.RawDays, int(usual.Raw.Hours()) / day},
		{"minute_days", "days", &shown.MinuteDays, s.MinuteDays, int(usual.Minute.Hours()) / day},
		{"hour_days", "days", &shown.HourDays, s.HourDays, int(usual.Hour.Hours()) / day},
	} {
		*setting.into = setting.own
		note := ""
		if setting.own == 0 {
			*setting.into, note = setting.common, " (default)"
			shown.Default = append(shown.Default, setting.name)
		}
		rows = append(rows, []string{setting.name, strconv.Itoa(*setting.into) + " " + setting.unit + note})
	}
	out := &printer{w: cmd.OutOrStdout()}
	if f.asJSON {
		out.json(shown)
	} else {
		out.table(rows)
	}
	return out.err
}
