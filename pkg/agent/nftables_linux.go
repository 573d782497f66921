package agent

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"

	"github.com/kubectl-netdoctor/netdoctor/pkg/agent/netfilter"
)

// errChanged says that the rules changed while they were read.
var errChanged = errors.New("the rules of nf_tables changed while they were read")

// nftTries is how often rules are read until nothing changes meanwhile. kube-proxy writes
// at most once a second by default.
const nftTries = 5

// readNFTables reads all rules of the network namespace; nil where the kernel does not know
// nf_tables. It is one state: rules that changed meanwhile are read again.
func readNFTables(links map[uint32]string, deadline time.Time) (*netfilter.NFT, error) {
	// Here, and not where they ask: another thread may be in another namespace.
	var conns nftConns
	for range min(runtime.GOMAXPROCS(0), 4) {
		c, err := dialNFT(deadline)
		if errors.Is(err, unix.EPROTONOSUPPORT) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		defer func() { _ = c.conn.Close() }()
		conns = append(conns, c)
	}
	return conns.readWhole(links)
}

// nftConns ask the kernel at a time: the rules of 10,000 Services take seconds.
type nftConns []nftConn

func (cs nftConns) readWhole(links map[uint32]string) (*netfilter.NFT, error) {
	for range nftTries {
		before, err := cs[0].generation()
		if errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EOPNOTSUPP) {
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		rules, err := cs.read(links)
		if err != nil && !errors.Is(err, errChanged) {
			return nil, err
		}
		after, errAfter := cs[0].generation()
		if errAfter != nil {
			return nil, errAfter
		}
		if err == nil && before == after {
			return rules, nil
		}
	}
	return nil, fmt.Errorf("%w, %d times", errChanged, nftTries)
}

func (cs nftConns) read(links map[uint32]string) (*netfilter.NFT, error) {
	rules := netfilter.NewNFT(links)
	if err := cs[0].dump(unix.NFT_MSG_GETTABLE, unix.NFPROTO_UNSPEC, nil, rules.Table); err != nil {
		return nil, err
	}
	if err := cs[0].dump(unix.NFT_MSG_GETCHAIN, unix.NFPROTO_UNSPEC, nil, rules.Chain); err != nil {
		return nil, err
	}
	rules.Classify()
	var one sync.Mutex
	chains := rules.WantedChains()
	err := cs.each(len(chains), func(c nftConn, i int) error {
		return c.dump(unix.NFT_MSG_GETRULE, chains[i].Family, ofChain(chains[i]), func(data []byte) error {
			one.Lock()
			defer one.Unlock()
			return rules.Rule(data)
		})
	})
	if err != nil {
		return nil, err
	}
	sets, err := rules.WantedSets()
	if err != nil {
		return nil, err
	}
	return rules, cs.each(len(sets), func(c nftConn, i int) error {
		err := c.dump(unix.NFT_MSG_GETSETELEM, sets[i].Family, ofSet(sets[i]), func(data []byte) error {
			one.Lock()
			defer one.Unlock()
			return rules.Elements(sets[i], data)
		})
		if errors.Is(err, unix.ENOENT) {
			return nil // some maps are only there in some versions of kube-proxy
		}
		return err
	})
}

// each shares the numbers below count among the connections, and stops at the first error.
func (cs nftConns) each(count int, ask func(c nftConn, i int) error) error {
	var next atomic.Int64
	failed := make(chan error, len(cs))
	for _, c := range cs {
		go func() {
			var err error
			for i := next.Add(1) - 1; i < int64(count) && err == nil; i = next.Add(1) - 1 {
				if err = ask(c, int(i)); err != nil {
					next.Store(int64(count))
				}
			}
			failed <- err
		}()
	}
	var err error
	for range cs {
		err = cmp.Or(err, <-failed)
	}
	return err
}

type nftConn struct{ conn *netlink.Conn }

func dialNFT(deadline time.Time) (nftConn, error) {
	conn, err := netlink.Dial(unix.NETLINK_NETFILTER, &netlink.Config{MessageBufferSize: 64 << 10})
	if err != nil {
		return nftConn{}, fmt.Errorf("asking for the rules of nf_tables: %w", err)
	}
	return nftConn{conn}, conn.SetDeadline(deadline)
}

func ofChain(ref netfilter.ChainRef) []netlink.Attribute {
	return []netlink.Attribute{
		{Type: unix.NFTA_RULE_TABLE, Data: []byte(ref.Table + "\x00")},
		{Type: unix.NFTA_RULE_CHAIN, Data: []byte(ref.Chain + "\x00")},
	}
}

func ofSet(ref netfilter.SetRef) []netlink.Attribute {
	return []netlink.Attribute{
		{Type: unix.NFTA_SET_ELEM_LIST_TABLE, Data: []byte(ref.Table + "\x00")},
		{Type: unix.NFTA_SET_ELEM_LIST_SET, Data: []byte(ref.Set + "\x00")},
	}
}

// generation returns the number of the state of the rules.
func (c nftConn) generation() (uint32, error) {
	const id = 1
	var number uint32
	err := c.ask(unix.NFT_MSG_GETGEN, netlink.Request, unix.NFPROTO_UNSPEC, nil, func(data []byte) error {
		attrs, err := netlink.UnmarshalAttributes(data[min(4, len(data)):])
		for _, a := range attrs {
			if a.Type == id && len(a.Data) == 4 {
				number = binary.BigEndian.Uint32(a.Data)
			}
		}
		return err
	})
	return number, err
}

func (c nftConn) dump(kind int, family byte, which []netlink.Attribute, take func([]byte) error) error {
	return c.ask(kind, netlink.Request|netlink.Dump, family, which, take)
}

// ask sends a request and hands over the answers one by one, without their head. Rules of
// large clusters take hundreds of megabytes together.
func (c nftConn) ask(kind int, flags netlink.HeaderFlags, family byte, which []netlink.Attribute, take func([]byte) error) error {
	attrs, err := netlink.MarshalAttributes(which)
	if err != nil {
		return err
	}
	_, err = c.conn.Send(netlink.Message{
		Header: netlink.Header{Type: netlink.HeaderType(unix.NFNL_SUBSYS_NFTABLES<<8 | kind), Flags: flags},
		Data:   append([]byte{family, unix.NFNETLINK_V0, 0, 0}, attrs...),
	})
	if err != nil {
		return fmt.Errorf("asking for the rules of nf_tables: %w", err)
	}
	for message, err := range c.conn.ReceiveIter() {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return fmt.Errorf("reading the rules of nf_tables took longer than %s", netfilterTime)
		}
		if err != nil {
			return fmt.Errorf("reading the rules of nf_tables: %w", err)
		}
		if message.Header.Flags&netlink.DumpInterrupted != 0 {
			return errChanged
		}
		if err := take(message.Data); err != nil {
			return err
		}
	}
	return nil
}
