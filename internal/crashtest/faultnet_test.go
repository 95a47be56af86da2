//go:build faults && linux

package crashtest

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

const (
	// mtu of the links. It is large, for every packet costs this process two system calls.
	mtu = 32000
	// linkQueue is how many packets may be under way on one link; more are lost, as on a real one.
	linkQueue = 4096
	// clientPort is the port of the switch that the clients, and this process, are at.
	clientPort = 0
	// ipv4Header is the shortest header of a packet; its destination is in the last four bytes.
	ipv4Header = 20
)

// link is what happens to packets from one port of the switch to another.
type link struct {
	cut    bool
	reject bool          // who sends is answered with a reset
	loss   float64       // share of packets
	delay  time.Duration // and up to as much again
}

// fate is what becomes of a packet.
type fate struct {
	lost  bool
	reset bool // the sender is sent one
	ended bool // so is whom it was to
	delay time.Duration
}

// network is the namespaces of the nodes and a switch in this process between them: each port is a TUN device, so that every packet can be lost, late, or let through one way
// only, whatever the kernel was built with.
type network struct {
	names []string // of the namespaces, by port; the clients' has none
	ports []*os.File
	wg    sync.WaitGroup
	mu    struct {
		sync.Mutex
		links  map[[2]int]link
		breaks float64 // share of packets between nodes in whose place both ends are sent a reset
		rand   *rand.Rand
	}
}

// newNetwork makes a port for the clients and one for each of n nodes. All is gone when the test ends.
func newNetwork(t *testing.T, n int, seed uint64) *network {
	nw := &network{}
	nw.mu.links, nw.mu.rand = map[[2]int]link{}, rand.New(rand.NewPCG(seed, 2))
	for port := range n + 1 {
		name := ""
		if port != clientPort {
			name = ownName(port)
			runIP(t, "netns", "add", name)
			t.Cleanup(func() { _ = exec.Command("ip", "netns", "del", name).Run() })
		}
		dev := fmt.Sprintf("mr%d-%d", os.Getpid()%100000, port)
		f, err := tun(name, dev)
		require.NoError(t, err, "a TUN device")
		ip := func(args ...string) {
			if name != "" {
				args = append([]string{"-n", name}, args...)
			}
			runIP(t, args...)
		}
		ip("addr", "add", nw.addr(port).String()+"/24", "dev", dev)
		ip("link", "set", dev, "mtu", fmt.Sprint(mtu), "up")
		if name != "" {
			ip("link", "set", "lo", "up")
		}
		nw.names, nw.ports = append(nw.names, name), append(nw.ports, f)
	}
	for port := range nw.ports {
		nw.wg.Go(func() { nw.forward(port) })
	}
	t.Cleanup(func() {
		for _, f := range nw.ports {
			_ = f.Close()
		}
		nw.wg.Wait()
	})
	return nw
}

// addr is the address of a port, in a network that is there for tests of networks (RFC 2544).
func (nw *network) addr(port int) netip.Addr {
	return netip.AddrFrom4([4]byte{198, 18, byte(os.Getpid()), byte(10 + port)})
}

func runIP(t *testing.T, args ...string) {
	t.Helper()
	out, err := exec.Command("ip", args...).CombinedOutput()
	require.NoError(t, err, "ip %s: %s", strings.Join(args, " "), out)
}

// tun makes a TUN device in a namespace, the empty name being this process's own.
func tun(namespace, dev string) (*os.File, error) {
	runtime.LockOSThread()
	if namespace != "" {
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			return nil, err
		}
		defer own.Close()
		its, err := os.Open("/run/netns/" + namespace)
		if err != nil {
			return nil, err
		}
		defer its.Close()
		if err := unix.Setns(int(its.Fd()), unix.CLONE_NEWNET); err != nil {
			return nil, err
		}
		defer func() {
			if unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) == nil {
				runtime.UnlockOSThread() // otherwise the thread ends with its goroutine
			}
		}()
	} else {
		defer runtime.UnlockOSThread()
	}
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	req, err := unix.NewIfreq(dev)
	if err != nil {
		return nil, err
	}
	req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, req); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	return os.NewFile(uintptr(fd), dev), nil
}

// late is a packet that is under way.
type late struct {
	packet []byte
	to     int
	due    time.Time
}

// forward reads what a port sends and hands it to the ports that it is for, until the devices are closed.
func (nw *network) forward(from int) {
	queue := make(chan late, linkQueue)
	defer close(queue)
	nw.wg.Go(func() {
		for l := range queue {
			<-time.After(time.Until(l.due))
			_, _ = nw.ports[l.to].Write(l.packet)
		}
	})
	buf := make([]byte, mtu)
	for {
		n, err := nw.ports[from].Read(buf)
		if err != nil {
			return
		}
		if n < ipv4Header || buf[0]>>4 != 4 {
			continue
		}
		to := int(binary.BigEndian.Uint32(buf[16:])&0xff) - 10
		if to < 0 || to >= len(nw.ports) || to == from {
			continue
		}
		f := nw.fate(from, to)
		switch {
		case f.lost:
			if f.reset {
				nw.send(from, reset(buf[:n]))
			}
			if f.ended {
				nw.send(to, hangUp(buf[:n]))
			}
		case f.delay == 0:
			_, _ = nw.ports[to].Write(buf[:n])
		default:
			select {
			case queue <- late{append([]byte(nil), buf[:n]...), to, time.Now().Add(f.delay)}:
			default:
			}
		}
	}
}

// send hands a packet of the switch itself to a port, unless it is nil.
func (nw *network) send(to int, packet []byte) {
	if packet != nil {
		_, _ = nw.ports[to].Write(packet)
	}
}

// fate decides about one packet.
func (nw *network) fate(from, to int) fate {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	l := nw.mu.links[[2]int{from, to}]
	switch {
	case l.cut || l.reject:
		return fate{lost: true, reset: l.reject}
	case nw.mu.breaks > 0 && from != clientPort && to != clientPort && nw.mu.rand.Float64() < nw.mu.breaks:
		return fate{lost: true, reset: true, ended: true}
	case l.loss > 0 && nw.mu.rand.Float64() < l.loss:
		return fate{lost: true}
	case l.delay == 0:
		return fate{}
	}
	return fate{delay: l.delay + time.Duration(nw.mu.rand.Int64N(int64(l.delay)))}
}

// set makes a link what l says, in one direction.
func (nw *network) set(from, to int, l link) {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	nw.mu.links[[2]int{from, to}] = l
}

// wear has a share of the packets between nodes end their connections from now on, whatever else happens.
func (nw *network) wear(breaks float64) {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	nw.mu.breaks = breaks
}

// heal makes all links whole.
func (nw *network) heal() {
	nw.mu.Lock()
	defer nw.mu.Unlock()
	clear(nw.mu.links)
}
