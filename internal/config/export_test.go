package config

// TracingVariables lists the variables of tracing whose values are checked.
func TracingVariables() (names []string) {
	for _, variable := range otelVariables() {
		names = append(names, variable.name)
	}
	return names
}
