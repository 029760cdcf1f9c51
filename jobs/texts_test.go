package jobs_test

import (
	"iter"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"millrace/jobs"
)

// decided lists every text of an input, and whether people write in it what they
// like. Those that are false have a form of their own or are meant to be personal.
func decided() map[string]bool {
	return map[string]bool{
		"booking_confirmation_email.email":        false, // the customer's
		"booking_confirmation_email.name":         false, // the customer's
		"booking_confirmation_email.notes":        true,
		"booking_confirmation_email.slot_id":      false,
		"booking_confirmation_email.timezone":     false,
		"conversation_scoring.feedback.text":      true,
		"conversation_scoring.feedback.thumbs":    false,
		"conversation_scoring.messages[].content": true,
		"conversation_scoring.messages[].role":    false,
		"conversation_scoring.session_id":         false,
		"payment_capture.currency":                false,
		"payment_capture.customer_email":          false, // the customer's
		"payment_capture.description":             true,
		"payment_capture.items[].name":            true,
		"payment_capture.metadata.*":              true,
		"payment_capture.payment_intent":          false,
		"payment_capture.payment_method":          false,
	}
}

// texts returns the paths of the texts that a type holds.
func texts(typ reflect.Type, path string) (found []string) {
	switch typ.Kind() {
	case reflect.String:
		return []string{path}
	case reflect.Pointer:
		return texts(typ.Elem(), path)
	case reflect.Slice, reflect.Array:
		return texts(typ.Elem(), path+"[]")
	case reflect.Map:
		return texts(typ.Elem(), path+".*")
	case reflect.Struct:
		for _, field := range reflect.VisibleFields(typ) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if field.IsExported() && !field.Anonymous && name != "" && name != "-" {
				found = append(found, texts(field.Type, path+"."+name)...)
			}
		}
	}
	return found
}

// A new text of an input is decided about: is it free, so that strict tenants'
// submissions are refused for what stands in it?
func TestEveryTextOfAnInputIsDecidedAbout(t *testing.T) {
	t.Parallel()
	var all []string
	for _, kind := range jobs.Catalog() {
		if kind.Public {
			all = append(all, texts(kind.Input(), kind.Name)...)
		}
	}
	var listed []string
	for path := range decided() {
		listed = append(listed, path)
	}
	require.ElementsMatch(t, listed, all)
}

// filled returns a value in which everything that may hold a text does.
func filled(typ reflect.Type) reflect.Value {
	value := reflect.New(typ).Elem()
	switch typ.Kind() {
	case reflect.String:
		value.SetString("text")
	case reflect.Pointer:
		value.Set(reflect.New(typ.Elem()))
		value.Elem().Set(filled(typ.Elem()))
	case reflect.Slice:
		value.Set(reflect.Append(value, filled(typ.Elem())))
	case reflect.Map:
		value.Set(reflect.MakeMap(typ))
		value.SetMapIndex(filled(typ.Key()), filled(typ.Elem()))
	case reflect.Struct:
		for i := range typ.NumField() {
			if typ.Field(i).IsExported() {
				value.Field(i).Set(filled(typ.Field(i).Type))
			}
		}
	}
	return value
}

func TestFreeTextsAreThoseThatAreDecidedToBe(t *testing.T) {
	t.Parallel()
	told := map[string]bool{"payment_capture.metadata": true} // its keys, which no path names
	for path, free := range decided() {
		if free {
			told[path] = true
		}
	}
	got := map[string]bool{}
	for _, kind := range jobs.Catalog() {
		if !kind.Public {
			continue
		}
		in, ok := reflect.TypeAssert[interface {
			FreeTexts() iter.Seq2[string, string]
		}](filled(kind.Input()))
		if !ok {
			continue
		}
		for field, text := range in.FreeTexts() {
			require.Equal(t, "text", text)
			got[kind.Name+"."+strings.ReplaceAll(field, "[0]", "[]")] = true
		}
	}
	require.Equal(t, told, got)
}
