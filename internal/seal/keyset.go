package seal

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/uuid"
	"github.com/tink-crypto/tink-go/v2/aead"
	"github.com/tink-crypto/tink-go/v2/core/cryptofmt"
	"github.com/tink-crypto/tink-go/v2/keyset"
	"github.com/tink-crypto/tink-go/v2/prf"
	"github.com/tink-crypto/tink-go/v2/tink"

	"millrace/internal/fault"
)

// Row is what a sealed text belongs to. It can be opened as no other row's.
type Row struct {
	Tenant string
	Table  string
	ID     uuid.UUID
}

// data is the row as associated data. Neither tenants nor tables have a slash.
func (r Row) data() []byte {
	return []byte("millrace/row/" + r.Table + "/" + r.Tenant + "/" + r.ID.String())
}

// Table is a table whose rows keep what they say about people in one column named
// sealed: a JSON object with a member for each of the columns, which are NULL then.
// Rows that were written without a key have the columns, and sealed is NULL.
type Table struct {
	Name    string
	Columns []string
}

// Keyset is a tenant's keys, unwrapped. It is safe for concurrent use.
type Keyset struct {
	sealing, digesting *keyset.Handle
	sealer             tink.AEAD
	digests            *prf.Set
	known              map[uint32]bool
	prefix             []byte
}

func newKeyset(sealing, digesting *keyset.Handle) (*Keyset, error) {
	s := &Keyset{sealing: sealing, digesting: digesting, known: map[uint32]bool{}}
	var err error
	if s.sealer, err = aead.New(sealing); err != nil {
		return nil, fmt.Errorf("seal: keyset: %w", err)
	}
	if s.digests, err = prf.NewPRFSet(digesting); err != nil {
		return nil, fmt.Errorf("seal: keyset: %w", err)
	}
	info := sealing.KeysetInfo()
	for _, key := range info.GetKeyInfo() {
		s.known[key.GetKeyId()] = true
	}
	s.prefix = binary.BigEndian.AppendUint32([]byte{cryptofmt.TinkStartByte}, info.GetPrimaryKeyId())
	return s, nil
}

// PrefixSize is how many bytes at the beginning of a sealed text say by which key it
// was sealed (Tink's output prefix).
const PrefixSize = cryptofmt.TinkPrefixSize

// Prefix returns how texts begin that the newest key seals.
func (s *Keyset) Prefix() []byte { return s.prefix }

// Knows reports whether a sealed text names a key of the set.
func (s *Keyset) Knows(sealed []byte) bool {
	return len(sealed) > PrefixSize && sealed[0] == cryptofmt.TinkStartByte && s.known[binary.BigEndian.Uint32(sealed[1:PrefixSize])]
}

// Rotate returns the keyset with a new key, which seals from now on. The others stay
// to open what they sealed.
func (s *Keyset) Rotate() (*Keyset, error) {
	manager := keyset.NewManagerFromHandle(s.sealing)
	id, err := manager.Add(aead.AES256GCMKeyTemplate())
	if err == nil {
		err = manager.SetPrimary(id)
	}
	if err != nil {
		return nil, fmt.Errorf("seal: rotate: %w", err)
	}
	handle, err := manager.Handle()
	if err != nil {
		return nil, fmt.Errorf("seal: rotate: %w", err)
	}
	return newKeyset(handle, s.digesting)
}

// Seal encrypts a row's text with the newest key.
func (s *Keyset) Seal(row Row, text []byte) ([]byte, error) {
	sealed, err := s.sealer.Encrypt(text, row.data())
	if err != nil {
		return nil, fault.New(fault.MaskingFailed, "The data could not be encrypted, so nothing was stored; try again, and quote the request id if it persists.").Because(err)
	}
	return sealed, nil
}

// Open decrypts a row's text. The fault is MASKING_FAILED when it is not what Seal
// made for this very row.
func (s *Keyset) Open(row Row, sealed []byte) ([]byte, error) {
	text, err := s.sealer.Decrypt(sealed, row.data())
	if err != nil {
		return nil, Damaged(err)
	}
	return text, nil
}

// Damaged is the fault of a sealed text that is not its row's.
func Damaged(cause error) error {
	if cause == nil {
		cause = errors.New("seal: damaged")
	}
	return fault.New(fault.MaskingFailed, "The stored data cannot be decrypted: it was changed, or it is another row's. Restore the row from a backup.").Because(cause)
}

// Digest returns 32 bytes that stand for a text: equal for equal texts of the tenant,
// and telling nothing to whoever lacks the keyset (HMAC-SHA-256). It does not change
// with Rotate.
func (s *Keyset) Digest(text string) ([]byte, error) {
	digest, err := s.digests.ComputePrimaryPRF([]byte(text), 32)
	if err != nil {
		return nil, fmt.Errorf("seal: digest: %w", err)
	}
	return digest, nil
}
