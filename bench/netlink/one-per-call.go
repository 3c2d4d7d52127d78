// Installs SAs with github.com/vishvananda/netlink, one message and one answer per call, as the
// agents of other systems do. `one-per-call FILE package|handle`: the functions of the package open a
// socket for each call, those of a handle share one. Prints the milliseconds.
package main

import (
	"bufio"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/vishvananda/netlink"
)

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// Lines of source, destination, SPI, reqid, replay window and key.
func read(path string) []*netlink.XfrmState {
	file, err := os.Open(path)
	check(err)
	defer file.Close()
	var states []*netlink.XfrmState
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		fields := strings.Fields(lines.Text())
		state := &netlink.XfrmState{
			Src: net.ParseIP(fields[0]), Dst: net.ParseIP(fields[1]),
			Proto: netlink.XFRM_PROTO_ESP, Mode: netlink.XFRM_MODE_TRANSPORT, ESN: true,
		}
		_, err := fmt.Sscan(fields[2]+" "+fields[3]+" "+fields[4], &state.Spi, &state.Reqid, &state.ReplayWindow)
		check(err)
		key, err := hex.DecodeString(fields[5])
		check(err)
		state.Aead = &netlink.XfrmStateAlgo{Name: "rfc4106(gcm(aes))", Key: key, ICVLen: 128}
		states = append(states, state)
	}
	check(lines.Err())
	return states
}

func main() {
	states := read(os.Args[1])
	add := netlink.XfrmStateAdd
	if os.Args[2] == "handle" {
		handle, err := netlink.NewHandle(6) // NETLINK_XFRM
		check(err)
		add = handle.XfrmStateAdd
	}
	start := time.Now()
	for _, state := range states {
		check(add(state))
	}
	fmt.Println(float64(time.Since(start).Microseconds()) / 1000)
}
