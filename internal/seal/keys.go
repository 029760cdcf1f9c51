// Package seal encrypts what rows say about people. Each tenant has a keyset of its
// own (Tink: AES-256-GCM, and HMAC-SHA-256 for digests), stored wrapped by a
// key-encryption key that the operator keeps. What a keyset seals is bound to the
// tenant, table and row that it is of, so that nothing can be moved elsewhere.
// Tink stops at this package, which knows no database.
package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/aead/subtle"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"millrace/internal/fault"
)

// KeySize is how many bytes a key-encryption key has (AES-256).
const KeySize = 32

// KeysForm says how ParseKeys wants its text.
const KeysForm = "it is id:key, with the key as the base64 of 32 random bytes (`openssl rand -base64 32`); several are separated by commas or line breaks, and the first one wraps"

// Keys are the operator's key-encryption keys. The first wraps keysets, all of them
// unwrap: a key is replaced by putting the new one in front.
type Keys struct {
	first string
	byID  map[string]tink.AEAD
}

var keyID = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,62}$`)

// ParseKeys reads keys written as KeysForm says. The error repeats nothing of the
// text.
func ParseKeys(text string) (*Keys, error) {
	keys := &Keys{byID: map[string]tink.AEAD{}}
	for entry := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' || r == '\r' }) {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		id, encoded, ok := strings.Cut(strings.TrimSpace(entry), ":")
		key, err := base64.StdEncoding.DecodeString(encoded)
		if !ok || !keyID.MatchString(id) || err != nil || len(key) != KeySize {
			return nil, errors.New(KeysForm)
		}
		if _, twice := keys.byID[id]; twice {
			return nil, errors.New("two keys have the same id")
		}
		if keys.byID[id], err = subtle.NewAESGCM(key); err != nil {
			return nil, fmt.Errorf("seal: %w", err)
		}
		if keys.first == "" {
			keys.first = id
		}
	}
	if keys.first == "" {
		return nil, errors.New(KeysForm)
	}
	return keys, nil
}

// First returns the id of the key that wraps.
func (k *Keys) First() string { return k.first }

// Has reports whether a key of that id is there.
func (k *Keys) Has(id string) bool { return k != nil && k.byID[id] != nil }

// Wrapped is a tenant's keyset as it is stored.
type Wrapped struct {
	// Sealing holds the keys that seal rows, Digesting the one that makes digests.
	Sealing, Digesting []byte
	// Key is the id of the key-encryption key that wraps both.
	Key string
}

// New returns a fresh keyset.
func New() (*Keyset, error) {
	sealing, err := keyset.NewHandle(aead.AES256GCMKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: new keyset: %w", err)
	}
	digesting, err := keyset.NewHandle(prf.HMACSHA256PRFKeyTemplate())
	if err != nil {
		return nil, fmt.Errorf("seal: new keyset: %w", err)
	}
	return newKeyset(sealing, digesting)
}

// Wrap encrypts a tenant's keyset with the first key.
func (k *Keys) Wrap(tenant string, s *Keyset) (Wrapped, error) {
	write := func(purpose string, handle *keyset.Handle) ([]byte, error) {
		var out bytes.Buffer
		err := handle.WriteWithAssociatedData(keyset.NewBinaryWriter(&out), k.byID[k.first], keysetData(tenant, purpose))
		return out.Bytes(), err
	}
	w := Wrapped{Key: k.first}
	var err error
	if w.Sealing, err = write("sealing", s.sealing); err != nil {
		return Wrapped{}, fmt.Errorf("seal: wrap: %w", err)
	}
	if w.Digesting, err = write("digesting", s.digesting); err != nil {
		return Wrapped{}, fmt.Errorf("seal: wrap: %w", err)
	}
	return w, nil
}

// Unwrap decrypts a tenant's keyset. The fault is UNAVAILABLE when the key is not
// among k, which may be nil, or is another one of the same id.
func (k *Keys) Unwrap(tenant string, w Wrapped) (*Keyset, error) {
	if !k.Has(w.Key) {
		return nil, noKey(w.Key, nil)
	}
	read := func(purpose string, wrapped []byte) (*keyset.Handle, error) {
		return keyset.ReadWithAssociatedData(keyset.NewBinaryReader(bytes.NewReader(wrapped)), k.byID[w.Key], keysetData(tenant, purpose))
	}
	sealing, err := read("sealing", w.Sealing)
	if err != nil {
		return nil, noKey(w.Key, err)
	}
	digesting, err := read("digesting", w.Digesting)
	if err != nil {
		return nil, noKey(w.Key, err)
	}
	return newKeyset(sealing, digesting)
}

// ReasonNoKey is details.reason of the fault when the program cannot unwrap a keyset.
const ReasonNoKey = "ENCRYPTION_KEY_MISSING"

func noKey(id string, cause error) error {
	return fault.New(fault.Unavailable, "The data is encrypted, and this program does not have the key: the operator must set ENCRYPTION_KEYS (or ENCRYPTION_KEYS_FILE) to the keys that it was written with.").
		With("reason", ReasonNoKey).With("key", id).After(30 * time.Second).Because(cause)
}

// keysetData binds a wrapped keyset to its tenant.
func keysetData(tenant, purpose string) []byte {
	return []byte("millrace/keyset/" + purpose + "/" + tenant)
}
