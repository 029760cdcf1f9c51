// Package strictjson decodes foreign JSON without the leniency of
// encoding/json: names match by case, unknown and doubled names, trailing data,
// invalid UTF-8, lone surrogates and NUL characters are refused. What it
// refuses becomes an INVALID_INPUT fault that names the place and the
// expectation, never the input.
package strictjson

import (
	"bytes"
	stdjson "encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"
	"github.com/google/uuid"

	"millrace/internal/fault"
)

// maxDepth bounds nesting. Our deepest document has four levels; jsontext alone
// would allow 10,000.
const maxDepth = 32

// Decode reads exactly one JSON object into v, a pointer to a struct.
func Decode(data []byte, v any) error {
	switch string(bytes.TrimSpace(data)) {
	case "":
		return fault.New(fault.InvalidInput, "The request has no body; send a JSON object.")
	case "null": // which Unmarshal takes for an object without members
		return notJSON("must be a JSON object")
	}
	if err := check(data); err != nil {
		return err
	}
	err := json.Unmarshal(data, v, json.RejectUnknownMembers(true), numbers)
	if err == nil {
		return nil
	}
	if semantic, ok := errors.AsType[*json.SemanticError](err); ok {
		return semanticFault(semantic, v)
	}
	return notJSON("is not valid JSON")
}

// numbers takes JSON numbers, and nothing else, for json.Number, which to the decoder
// is a text like any other.
//
//nolint:gochecknoglobals // a constant
var numbers = json.WithUnmarshalers(json.UnmarshalFromFunc(func(decoder *jsontext.Decoder, number *stdjson.Number) error {
	kind := decoder.PeekKind()
	if kind == jsontext.KindNull { // as for any other type, it leaves the zero value
		*number = ""
		return decoder.SkipValue()
	}
	if kind != jsontext.KindNumber {
		return errNoNumber
	}
	text, err := decoder.ReadValue()
	*number = stdjson.Number(text)
	return err
}))

var errNoNumber = errors.New("strictjson: no number")

// check walks the tokens once for what Unmarshal would let through.
func check(data []byte) error {
	decoder := jsontext.NewDecoder(bytes.NewReader(data))
	for {
		token, err := decoder.ReadToken()
		switch {
		case errors.Is(err, jsontext.ErrDuplicateName):
			return notJSON("names a member twice")
		case err != nil:
			return nil //nolint:nilerr // io.EOF ends the walk; anything else Unmarshal explains
		case decoder.StackDepth() > maxDepth:
			return notJSON("is nested too deeply")
		case token.Kind() == '"' && strings.ContainsRune(token.String(), 0):
			return notJSON("contains a NUL character")
		}
	}
}

func notJSON(problem string) *fault.Fault {
	return fault.New(fault.InvalidInput, "The request body "+problem+".").
		With("fields", []fault.Field{{Field: "body", Problem: problem}})
}

func semanticFault(err *json.SemanticError, v any) error {
	var fields fault.Fields
	if errors.Is(err.Err, json.ErrUnknownName) {
		parent := err.JSONPointer.Parent()
		problem := "has an unknown field"
		if names := memberNames(reflect.TypeOf(v), parent); len(names) > 0 {
			problem += "; allowed are " + strings.Join(names, ", ")
		}
		fields.Add(path(parent, v), problem)
		return fields.Err()
	}
	if syntactic := (*jsontext.SyntacticError)(nil); errors.As(err.Err, &syntactic) {
		return notJSON("is not valid JSON")
	}
	fields.Add(path(err.JSONPointer, v), "must be "+expectation(err.GoType))
	return fields.Err()
}

// path writes a JSON pointer as people write fields: items[2].price. Names are
// shown only as far as v's type knows them, since others are input.
func path(pointer jsontext.Pointer, v any) string {
	var out strings.Builder
	typ := reflect.TypeOf(v)
	for token := range pointer.Tokens() {
		typ = indirect(typ)
		switch {
		case typ == nil:
		case typ.Kind() == reflect.Slice:
			out.WriteString("[" + token + "]")
			typ = typ.Elem()
			continue
		case typ.Kind() == reflect.Map:
			out.WriteString(".*")
			typ = typ.Elem()
			continue
		case typ.Kind() == reflect.Struct:
			if field, ok := member(typ, token); ok {
				if out.Len() > 0 {
					out.WriteByte('.')
				}
				out.WriteString(token)
				typ = field
				continue
			}
		}
		break
	}
	if out.Len() == 0 {
		return "body"
	}
	return out.String()
}

func memberNames(typ reflect.Type, pointer jsontext.Pointer) []string {
	for token := range pointer.Tokens() {
		typ = indirect(typ)
		switch {
		case typ == nil:
			return nil
		case typ.Kind() == reflect.Slice, typ.Kind() == reflect.Map:
			typ = typ.Elem()
		case typ.Kind() == reflect.Struct:
			field, ok := member(typ, token)
			if !ok {
				return nil
			}
			typ = field
		default:
			return nil
		}
	}
	typ = indirect(typ)
	if typ == nil || typ.Kind() != reflect.Struct {
		return nil
	}
	var names []string
	for _, field := range reflect.VisibleFields(typ) {
		if name := jsonName(field); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

func member(typ reflect.Type, name string) (reflect.Type, bool) {
	for _, field := range reflect.VisibleFields(typ) {
		if jsonName(field) == name {
			return field.Type, true
		}
	}
	return nil, false
}

func jsonName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	if field.Anonymous || !field.IsExported() || name == "-" {
		return ""
	}
	return name
}

func indirect(typ reflect.Type) reflect.Type {
	for typ != nil && typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	return typ
}

func expectation(typ reflect.Type) string {
	typ = indirect(typ)
	switch typ {
	case nil:
		return "valid"
	case reflect.TypeFor[time.Time]():
		return "an RFC 3339 time such as 2026-01-31T09:30:00Z"
	case reflect.TypeFor[uuid.UUID]():
		return "a UUID"
	case reflect.TypeFor[stdjson.Number]():
		return "a number"
	}
	switch typ.Kind() {
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return "an integer"
	case reflect.Float32, reflect.Float64:
		return "a number"
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice, reflect.Array:
		return "an array"
	case reflect.Struct, reflect.Map:
		return "an object"
	default:
		return "of another type"
	}
}
