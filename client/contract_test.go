package client_test

import (
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/api"
	"millrace/client"
	"millrace/internal/fault"
	"millrace/internal/intake"
	"millrace/internal/payment"
)

// The client has types of its own, so that apps depend on little. These tests
// hold them to the server's.

func TestTypesHaveTheServersMembers(t *testing.T) {
	t.Parallel()
	for _, pair := range []struct{ server, client reflect.Type }{
		{reflect.TypeFor[api.Job](), reflect.TypeFor[client.Job]()},
		{reflect.TypeFor[api.JobError](), reflect.TypeFor[client.Failure]()},
		{reflect.TypeFor[payment.Request](), reflect.TypeFor[client.PaymentRequest]()},
		{reflect.TypeFor[payment.Item](), reflect.TypeFor[client.Item]()},
		{reflect.TypeFor[payment.Payment](), reflect.TypeFor[client.Payment]()},
		{reflect.TypeFor[fault.Field](), reflect.TypeFor[client.Field]()},
	} {
		require.ElementsMatch(t, members(pair.server), members(pair.client), pair.client)
	}
}

func TestListsAreTheServers(t *testing.T) {
	t.Parallel()
	require.ElementsMatch(t, texts(fault.Codes()), texts(client.Codes()))
	require.ElementsMatch(t, texts(intake.States()), texts(client.States()))
}

// members lists the JSON names of a struct's fields.
func members(of reflect.Type) []string {
	var names []string
	for _, field := range reflect.VisibleFields(of) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name != "" && name != "-" {
			names = append(names, name)
		}
	}
	return names
}

func texts[T ~string](list []T) []string {
	result := make([]string, len(list))
	for i, item := range list {
		result[i] = string(item)
	}
	return result
}
