package devpg

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash/crc32"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// repository imitates Maven Central: a jar with a tar.xz in it, and its SHA-256.
type repository struct {
	*httptest.Server
	jars atomic.Int32 // requests
}

func newRepository(t *testing.T, archive []byte, checksum func(jar []byte) string) *repository {
	t.Helper()
	var jar bytes.Buffer
	writer := zip.NewWriter(&jar)
	file, err := writer.Create("postgres-linux-x86_64.txz")
	require.NoError(t, err)
	_, err = file.Write(archive)
	require.NoError(t, err)
	require.NoError(t, writer.Close())

	served := &repository{}
	served.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".sha256") {
			_, _ = w.Write([]byte(checksum(jar.Bytes())))
			return
		}
		served.jars.Add(1)
		_, _ = w.Write(jar.Bytes())
	}))
	t.Cleanup(served.Close)
	return served
}

func goodChecksum(jar []byte) string {
	sum := sha256.Sum256(jar)
	return hex.EncodeToString(sum[:])
}

// programsArchive is a tar.xz with programs that only print a version.
func programsArchive(t *testing.T) []byte {
	t.Helper()
	var archive bytes.Buffer
	writer := tar.NewWriter(&archive)
	for name, script := range map[string]string{
		"bin/postgres": "#!/bin/sh\necho 'postgres (PostgreSQL) 18.3'\n",
		"bin/initdb":   "#!/bin/sh\necho 'initdb (PostgreSQL) 18.3'\n",
		"bin/pg_ctl":   "#!/bin/sh\nexit 1\n",
	} {
		require.NoError(t, writer.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(script))}))
		_, err := writer.Write([]byte(script))
		require.NoError(t, err)
	}
	require.NoError(t, writer.Close())
	return xzStored(archive.Bytes())
}

// xzStored wraps content, of at most 64 KiB, in the xz format without
// compressing it: https://tukaani.org/xz/xz-file-format.txt.
func xzStored(content []byte) []byte {
	checksummed := func(part []byte) []byte {
		return binary.LittleEndian.AppendUint32(part, crc32.ChecksumIEEE(part))
	}
	flags := []byte{0, 0} // no integrity check
	out := append([]byte{0xFD, '7', 'z', 'X', 'Z', 0}, flags...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(flags))

	begin := len(out)
	out = append(out, checksummed([]byte{2, 0, 0x21, 1, 0x16, 0, 0, 0})...) // one filter, LZMA2, dictionary of 8 MiB
	out = append(out, 1)                                                    // an uncompressed chunk that resets the dictionary
	out = binary.BigEndian.AppendUint16(out, uint16(len(content)-1))        //nolint:gosec // at most 64 KiB, see above
	out = append(out, content...)
	out = append(out, 0) // the last chunk
	unpadded := len(out) - begin
	for (len(out)-begin)%4 != 0 {
		out = append(out, 0)
	}

	index := binary.AppendUvarint([]byte{0, 1}, uint64(unpadded)) //nolint:gosec // a length
	index = binary.AppendUvarint(index, uint64(len(content)))
	for len(index)%4 != 0 {
		index = append(index, 0)
	}
	index = checksummed(index)
	out = append(out, index...)

	footer := binary.LittleEndian.AppendUint32(nil, uint32(len(index)/4-1)) //nolint:gosec // a length
	footer = append(footer, flags...)
	out = binary.LittleEndian.AppendUint32(out, crc32.ChecksumIEEE(footer))
	return append(append(out, footer...), 'Y', 'Z')
}

func TestDownload(t *testing.T) {
	t.Parallel()
	served := newRepository(t, programsArchive(t), goodChecksum)
	cache := filepath.Join(t.TempDir(), "cache")
	d := downloader{repository: served.URL, cache: cache, logger: discard()}

	dir, err := d.fetch(t.Context(), 0)
	require.NoError(t, err)
	version, err := account{}.askVersion(t.Context(), filepath.Join(dir, "postgres"))
	require.NoError(t, err)
	require.Equal(t, 18, version)
	entries, err := os.ReadDir(cache)
	require.NoError(t, err)
	require.Len(t, entries, 1, "it left something behind")

	again, err := d.fetch(t.Context(), 18)
	require.NoError(t, err)
	require.Equal(t, dir, again)
	require.Equal(t, int32(1), served.jars.Load(), "it was in the cache")
}

func TestDownloadFails(t *testing.T) {
	t.Parallel()
	archive := programsArchive(t)
	tests := map[string]struct {
		archive  []byte
		checksum func([]byte) string
		major    int
	}{
		"cut off":              {archive: archive[:len(archive)/2], checksum: goodChecksum},
		"another checksum":     {archive: archive, checksum: func([]byte) string { return strings.Repeat("0", 64) }},
		"a version that lacks": {archive: archive, checksum: goodChecksum, major: 19},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			served := newRepository(t, test.archive, test.checksum)
			cache := t.TempDir()
			_, err := downloader{repository: served.URL, cache: cache, logger: discard()}.fetch(t.Context(), test.major)
			require.Error(t, err)
			entries, err := os.ReadDir(cache)
			require.NoError(t, err)
			require.Empty(t, entries)
		})
	}
}

func TestDownloadEndsWithItsContext(t *testing.T) {
	t.Parallel()
	asked, release := make(chan struct{}), make(chan struct{})
	stuck := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(asked)
		<-release
	}))
	t.Cleanup(stuck.Close)
	t.Cleanup(func() { close(release) })
	cache := t.TempDir()
	ctx, cancel := contextCancelledBy(t, asked)
	defer cancel()
	_, err := downloader{repository: stuck.URL, cache: cache, logger: discard()}.fetch(ctx, 0)
	require.ErrorIs(t, err, ctx.Err())
}
