package devpg

import (
	"maps"
	"slices"
	"strings"
)

// serverSettings are the settings of postgresql.conf for a server of opts,
// without the port. They are given on the command line, so that a cluster made
// by an older millrace gets them too.
func serverSettings(opts Options) map[string]string {
	settings := map[string]string{
		"listen_addresses":        "127.0.0.1",
		"unix_socket_directories": "", // the path of a socket may have some 100 bytes, that of a clone more
		"max_connections":         "200",
		"shared_buffers":          "128MB",
		"timezone":                "UTC",
		"log_timezone":            "UTC",
		"log_destination":         "stderr",
		"logging_collector":       "off",
		"log_checkpoints":         "off", // the log is bounded at starts only
		"log_line_prefix":         "%m [%p] ",
		"wal_level":               "minimal",
		"max_wal_senders":         "0",
		"fsync":                   "on",
		"synchronous_commit":      "on",
		"full_page_writes":        "on",
	}
	if opts.Ephemeral {
		settings["fsync"] = "off"
		settings["synchronous_commit"] = "off"
		settings["full_page_writes"] = "off"
	}
	for name, value := range opts.Settings {
		settings[strings.ToLower(name)] = value // names are case-insensitive
	}
	return settings
}

// settingArguments are the command line of `postgres` for the settings.
func settingArguments(settings map[string]string) []string {
	var arguments []string
	for _, name := range slices.Sorted(maps.Keys(settings)) {
		arguments = append(arguments, "-c", name+"="+settings[name])
	}
	return arguments
}
