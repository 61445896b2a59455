// A client made from the contract by the standard tools alone: it registers, renews, watches and resumes, and prints what
// it saw as one JSON object a line.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	pb "portolan.test/stock/gen/portolan/v1"
)

const realm = "stock"

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: stock HOST:PORT")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "stock:", err)
		os.Exit(1)
	}
}

func run(address string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	registry := pb.NewRegistryServiceClient(conn)

	first, err := register(ctx, registry, "one", "", 2*time.Second)
	if err != nil {
		return err
	}
	if _, err := register(ctx, registry, "two", first.LeaseId, 2*time.Second); err != nil {
		return err
	}
	say("registered", map[string]any{"lease": first.LeaseId != ""})
	beats, err := registry.Renew(ctx)
	if err != nil {
		return err
	}
	if err := beat(beats, first.LeaseId, pb.Instance_PASSING); err != nil {
		return err
	}

	held, err := watched(ctx, conn, registry)
	if err != nil {
		return err
	}
	// While nobody watches, a third one comes.
	if _, err := register(ctx, registry, "three", first.LeaseId, 2*time.Second); err != nil {
		return err
	}
	if err := beat(beats, first.LeaseId, pb.Instance_UNKNOWN); err != nil {
		return err
	}
	return resumed(ctx, conn, held)
}

// watched follows from nothing, says received and applied, and is listed with what it said.
func watched(ctx context.Context, conn *grpc.ClientConn, registry pb.RegistryServiceClient) (*pb.Position, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	follow, err := subscribe(ctx, conn, nil)
	if err != nil {
		return nil, err
	}
	at, complete, err := follow.next()
	if err != nil {
		return nil, err
	}
	say("watched", map[string]any{"complete": complete, "instances": follow.instances()})
	if _, err := registry.SetEnabled(ctx, &pb.SetEnabledRequest{Realm: realm, Service: "shop", Id: "one", Enabled: false}); err != nil {
		return nil, err
	}
	if at, complete, err = follow.next(); err != nil {
		return nil, err
	}
	say("changed", map[string]any{"complete": complete, "instances": follow.instances()})
	if err := follow.stream.Send(&pb.WatchRequest{Message: &pb.WatchRequest_Applied{Applied: &pb.Applied{Position: at}}}); err != nil {
		return nil, err
	}
	answer, err := pb.NewFleetServiceClient(conn).WaitForRevision(ctx, &pb.WaitForRevisionRequest{
		Realm: realm, Revision: at.Revision, Timeout: durationpb.New(10 * time.Second),
	})
	if err != nil {
		return nil, err
	}
	say("applied", map[string]any{"verdict": answer.Verdict.String()})
	return at, nil
}

// resumed follows from a position: only what changed comes. Then nobody renews any more.
func resumed(ctx context.Context, conn *grpc.ClientConn, held *pb.Position) error {
	follow, err := subscribe(ctx, conn, held)
	if err != nil {
		return err
	}
	_, complete, err := follow.next()
	if err != nil {
		return err
	}
	say("resumed", map[string]any{"complete": complete, "instances": follow.instances()})
	for len(follow.instances()) > 0 {
		if _, _, err := follow.next(); err != nil {
			return err
		}
	}
	say("expired", map[string]any{"instances": follow.instances()})
	return nil
}

type following struct {
	stream   grpc.BidiStreamingClient[pb.WatchRequest, pb.WatchResponse]
	services map[string]*pb.Service
}

func subscribe(ctx context.Context, conn *grpc.ClientConn, after *pb.Position) (*following, error) {
	stream, err := pb.NewDiscoveryServiceClient(conn).Watch(ctx)
	if err != nil {
		return nil, err
	}
	follower := &pb.Follower{Id: "stock", Kind: pb.Follower_SDK, Program: "stock/1"}
	err = stream.Send(&pb.WatchRequest{Message: &pb.WatchRequest_Subscribe{Subscribe: &pb.Subscribe{
		Scope: &pb.Scope{Realm: realm}, After: after, Follower: follower, Subscription: 1,
	}}})
	return &following{stream: stream, services: map[string]*pb.Service{}}, err
}

// next folds one update and says that it was received.
func (f *following) next() (*pb.Position, bool, error) {
	var parts []*pb.Part
	for len(parts) == 0 || !parts[len(parts)-1].Last {
		response, err := f.stream.Recv()
		if err != nil {
			return nil, false, err
		}
		parts = append(parts, response.Part)
	}
	last := parts[len(parts)-1]
	if last.Complete {
		f.services = map[string]*pb.Service{}
	}
	for _, part := range parts {
		for _, service := range part.Set {
			f.services[service.Name] = service
		}
		for _, name := range part.Deleted {
			delete(f.services, name)
		}
	}
	received := &pb.Received{Position: last.Position}
	err := f.stream.Send(&pb.WatchRequest{Message: &pb.WatchRequest_Received{Received: received}})
	return last.Position, last.Complete, err
}

func (f *following) instances() []string {
	names := []string{}
	for _, service := range f.services {
		for _, instance := range service.Instances {
			name := instance.Id + " " + instance.Status.String()
			if !instance.Enabled {
				name += " disabled"
			}
			names = append(names, name)
		}
	}
	sort.Strings(names)
	return names
}

func register(ctx context.Context, registry pb.RegistryServiceClient, id, lease string, ttl time.Duration) (*pb.RegisterResponse, error) {
	return registry.Register(ctx, &pb.RegisterRequest{
		Realm: realm, Service: "shop", Id: id, LeaseId: lease,
		Instance: &pb.InstanceSpec{Host: "127.0.0.1", Port: 80, Ttl: durationpb.New(ttl)},
	})
}

func beat(beats grpc.BidiStreamingClient[pb.RenewRequest, pb.RenewResponse], lease string, status pb.Instance_Status) error {
	observed := []*pb.InstanceStatus{{Realm: realm, Service: "shop", Id: "two", Status: status}}
	if err := beats.Send(&pb.RenewRequest{LeaseId: lease, Statuses: observed}); err != nil {
		return err
	}
	answer, err := beats.Recv()
	if err != nil {
		return err
	}
	if !answer.Alive {
		return fmt.Errorf("lease %q is gone", lease)
	}
	return nil
}

func say(what string, fields map[string]any) {
	fields["saw"] = what
	line, err := json.Marshal(fields)
	if err != nil {
		panic(err)
	}
	fmt.Println(string(line))
}
