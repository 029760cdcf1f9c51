package strictjson

import (
	"bytes"

	"github.com/go-json-experiment/json"
	"github.com/go-json-experiment/json/jsontext"

	"millrace/internal/fault"
)

// Split divides a JSON object into the members of the given names and the rest,
// so that each part can be decoded as its own type. picked is nil when no name
// occurs. It says nothing about the rest's validity: Decode does.
func Split(data []byte, names ...string) (rest, picked []byte, err error) {
	if !mentions(data, names) {
		return data, nil, nil
	}
	if err := check(data); err != nil {
		return nil, nil, err
	}
	var members map[string]jsontext.Value
	if err := json.Unmarshal(data, &members); err != nil {
		return nil, nil, notJSON("must be a JSON object")
	}
	chosen := map[string]jsontext.Value{}
	for _, name := range names {
		if value, ok := members[name]; ok {
			chosen[name] = value
			delete(members, name)
		}
	}
	if len(chosen) == 0 {
		return data, nil, nil
	}
	if picked, err = json.Marshal(chosen); err != nil {
		return nil, nil, fault.From(err)
	}
	if rest, err = json.Marshal(members); err != nil {
		return nil, nil, fault.From(err)
	}
	return rest, picked, nil
}

// mentions reports whether one of the names may be a member. Escapes in a name
// (which no encoder writes for these) would hide it; then it is unknown.
func mentions(data []byte, names []string) bool {
	for _, name := range names {
		if bytes.Contains(data, []byte(`"`+name+`"`)) {
			return true
		}
	}
	return false
}
