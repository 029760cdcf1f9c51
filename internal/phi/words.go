package phi

import (
	"bytes"
	"compress/gzip"
	"embed"
	"io"
	"math/bits"
	"strings"
	"sync"
	"unicode/utf8"
)

// flags say what a word may be. The cue that it gives is in the lowest bits.
type flags uint64

const cueBits = 4

const (
	english      flags = 1 << (cueBits + iota) // an ordinary word of English
	given                                      // a given name
	givenCommon                                // a given name that is common in English
	family                                     // a family name
	familyCommon                               // a family name that is common in the United States
	place                                      // a town, or a phrase that is one
	bigPlace                                   // a town of some 450,000 people or more
	placeHead                                  // the first word of such a phrase
	region                                     // a state or a country, or larger: no identifier
	regionHead
	stateCode  // CA
	month      // January, Jan
	weekday    // Monday
	weekdayAbb // Mon
	title      // Mrs
	kin        // mother, patient, roommate: a name may follow
	naming     // named, called
	facility   // Hospital
	premises   // Center, Office: a hospital with the right words before it
	street     // Street
	streetAbb  // St
	condition  // disease, sign, score: what stands before is no person
	eponym     // Parkinson: a name that is none alone
	medical    // no person and no place, whatever its case
	function   // the, with: never part of a name
	chatty     // words of chats that are no names in lower case, and times of a treatment: no places
	unit       // mg
	ageUnit    // yo
	ninety     // in words
	dated      // on, since: a date may follow
	visit      // seen, admitted: a place may follow at
	transfer   // admitted, discharged, visited: a place may follow to and from, or at once
	preposed   // at, in, from, near
	greeting   // hi, dear
	domain     // com
	scheme     // https
	acronym    // no place in capitals: ICU
	weak       // a cue that is also an ordinary word: plan, device
	everyday   // a name that is nothing else, in lower case, too
	worded     // a name that is a word, too: a name before a verb of which a person is the subject
	verbal     // such a verb
	surely     // a name when it has a capital, although it is an English word
	telling    // ask, met: a person follows
	foreign    // a month in another language
	avenida    // a word for a street, in another language, before its name

	lastFlag = avenida
)

// cue is what a word says about the number behind it.
type cue uint8

const (
	noCue cue = iota
	cueRecord
	cuePlan
	cueAccount
	cueLicense
	cueVehicle
	cueDevice
	cueIdent
	cueSSN
	cuePhone
	cueFax
	cueZIP
	cueFiller // number, no: says that a number follows
	cueOf     // is, of: may stand between
	cuePlate
	cuePublic // a number that is printed on every box
)

func (f flags) cue() cue { return cue(f & (1<<cueBits - 1)) }

// triggering are the flags of a word at which rules are tried in lower case, too.
const triggering = month | weekday | weekdayAbb | naming | kin | greeting | title | street | streetAbb | domain | scheme | facility | premises |
	placeHead | place | givenCommon | ninety | avenida | foreign

// maxWord is the longest word that is looked up, in bytes.
const maxWord = 32

// dictionary knows the flags of words and of phrases by their hashes. It is a hash
// table with open addressing. A slot holds flags in its lower bits, and above them
// so much of the hash that an unknown word is taken for a known one once in some
// fifteen thousand times.
type dictionary struct {
	slots []uint64
	shift uint
	mask  uint64
}

const (
	flagBits = 49
	flagMask = 1<<flagBits - 1
)

// The last flag fits in, or this does not build.
const _ = uint64(flagMask - lastFlag)

// check returns what a slot holds of a hash. It is not 0, which is an empty slot.
func check(h uint64) uint64 { return h<<flagBits | 1<<flagBits }

// lookUp returns the flags of a hash, 0 if it is unknown.
func (d *dictionary) lookUp(h uint64) flags {
	for i := h >> d.shift; ; i++ {
		switch slot := d.slots[i&d.mask]; {
		case slot&^flagMask == check(h):
			return flags(slot & flagMask)
		case slot == 0:
			return 0
		}
	}
}

// put adds flags to a hash. A cue replaces another.
func (d *dictionary) put(h uint64, f flags) {
	for i := h >> d.shift; ; i++ {
		slot := &d.slots[i&d.mask]
		if *slot == 0 {
			*slot = check(h)
		}
		if *slot&^flagMask != check(h) {
			continue
		}
		if f.cue() != noCue {
			*slot &^= 1<<cueBits - 1
		}
		*slot |= uint64(f)
		return
	}
}

// add adds flags to words, which are separated by white space and in lower case.
func (d *dictionary) add(f flags, words string) {
	for word := range strings.FieldsSeq(words) {
		d.put(hash(word, 0), f)
	}
}

// addPhrases adds flags to phrases, one a line, and others to the first words of
// those that have several. A * before a phrase adds a third kind.
func (d *dictionary) addPhrases(f, head, starred flags, lines string) {
	for line := range strings.Lines(lines) {
		line = strings.TrimSpace(line)
		phrase, star := strings.CutPrefix(line, "*")
		if phrase == "" {
			continue
		}
		var h uint64
		n := 0
		for word := range strings.FieldsSeq(phrase) {
			if h = hash(word, h); n == 0 && len(word) < len(phrase) {
				d.put(h, head)
			}
			n++
		}
		if star {
			d.put(h, f|starred)
		} else {
			d.put(h, f)
		}
	}
}

// hash mixes a word in lower case, or in any if it is ASCII, into the hash of the
// words before it.
func hash(word string, h uint64) uint64 {
	const k = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio
	h ^= uint64(len(word)) * k
	for len(word) > 8 {
		h = mix(h^(load(word)|load(word[4:])<<32|lowerCase), k)
		word = word[8:]
	}
	var tail uint64
	switch n := len(word); {
	case n >= 4:
		tail = load(word) | load(word[n-4:])<<32
	case n > 0:
		tail = uint64(word[0]) | uint64(word[n/2])<<8 | uint64(word[n-1])<<16
	}
	return mix(h^(tail|lowerCase), k)
}

// lowerCase is the bit that makes ASCII letters lower case.
const lowerCase = 0x2020202020202020

// load returns the first four bytes.
func load(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

func mix(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a^0xa0761d6478bd642f, b)
	return hi ^ lo
}

//go:embed lists/*.gz
var lists embed.FS

// loadDictionary reads the lists, once: it takes some ten milliseconds.
var loadDictionary = sync.OnceValue(func() *dictionary { //nolint:gochecknoglobals // read once, and never changed
	const bits = 17 // for 85,000 words
	d := &dictionary{slots: make([]uint64, 1<<bits), shift: 64 - bits, mask: 1<<bits - 1}
	d.addPhrases(english, 0, 0, list("english"))
	d.addPhrases(given, 0, givenCommon, list("given"))
	d.addPhrases(family, 0, familyCommon, list("family"))
	d.addPhrases(place, placeHead, bigPlace, list("places"))
	for _, c := range cues() {
		if c.phrases {
			d.addPhrases(c.flags, c.head, 0, c.words)
		} else {
			d.add(c.flags, c.words)
		}
	}
	return d
})

// list returns one of the embedded lists.
func list(name string) string {
	b, err := lists.ReadFile("lists/" + name + ".txt.gz")
	if err == nil {
		var r *gzip.Reader
		if r, err = gzip.NewReader(bytes.NewReader(b)); err == nil {
			if b, err = io.ReadAll(r); err == nil && utf8.Valid(b) {
				return string(b)
			}
		}
	}
	panic("phi: the embedded list " + name + " is damaged") // the program was built wrong
}
