package devpg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"syscall"
)

// listenOn takes a port on 127.0.0.1 and gives it back, to see whether it is
// free; 0 means any. PostgreSQL cannot be handed a listening socket, so somebody
// may still take the port before it does.
func listenOn(ctx context.Context, port int) (int, error) {
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return 0, &PortInUseError{Port: port}
	}
	if err != nil {
		return 0, fmt.Errorf("devpg: listen on port %d: %w", port, err)
	}
	if err := listener.Close(); err != nil {
		return 0, fmt.Errorf("devpg: give back port %d: %w", port, err)
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return 0, fmt.Errorf("devpg: %s is not a TCP address", listener.Addr())
	}
	return address.Port, nil
}

// lastPort is the port of the last run, 0 when there was none.
func (d directory) lastPort() int {
	return readNumber(d.port())
}

// keepPort is for lastPort. The server works without it.
func (d directory) keepPort(port int) error {
	if err := os.WriteFile(d.port(), []byte(strconv.Itoa(port)+"\n"), 0o600); err != nil {
		return fmt.Errorf("devpg: keep the port for the next run: %w", err)
	}
	return nil
}
