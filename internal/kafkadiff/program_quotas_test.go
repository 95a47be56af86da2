package kafkadiff

import (
	"fmt"

	"github.com/twmb/franz-go/pkg/kmsg"
)

func (s *session) quotas() {
	s.each(kmsg.AlterClientQuotas, func(v int16) {
		alter := func(name, key string, value float64, remove bool, entity ...string) {
			req := kmsg.NewPtrAlterClientQuotasRequest()
			req.Version = v
			entry := kmsg.NewAlterClientQuotasRequestEntry()
			for i := 0; i < len(entity); i += 2 {
				part := kmsg.NewAlterClientQuotasRequestEntryEntity()
				if part.Type = entity[i]; entity[i+1] != "" {
					part.Name = &entity[i+1]
				}
				entry.Entity = append(entry.Entity, part)
			}
			entry.Ops = []kmsg.AlterClientQuotasRequestEntryOp{{Key: key, Value: value, Remove: remove}}
			req.Entries = append(req.Entries, entry)
			s.ask(name, req)
		}
		alter("of a client", "producer_byte_rate", 1e9, false, "client-id", "app")
		alter("of a user with a client", "request_percentage", 12.5, false, "user", "ann", "client-id", "app")
		alter("of whoever has none", "consumer_byte_rate", 1e9, false, "client-id", "")
		alter("a part of a byte", "producer_byte_rate", 1.5, false, "client-id", "app")
		alter("nothing a second", "producer_byte_rate", 0, false, "client-id", "app")
		alter("an unknown quota", "no_such", 1, false, "client-id", "app")
		alter("an unknown kind", "producer_byte_rate", 1, false, "shoe-size", "44")
		alter("of nobody", "producer_byte_rate", 1, false)
		alter("one that is not there is removed", "producer_byte_rate", 0, true, "user", "nobody")
		describe := func(name string, strict bool, kinds ...any) {
			req := kmsg.NewPtrDescribeClientQuotasRequest()
			req.Version, req.Strict = v, strict
			for i := 0; i < len(kinds); i += 3 {
				c := kmsg.NewDescribeClientQuotasRequestComponent()
				c.EntityType, c.MatchType = kinds[i].(string), kmsg.QuotasMatchType(kinds[i+1].(int))
				if text := kinds[i+2].(string); text != "" {
					c.Match = &text
				}
				req.Components = append(req.Components, c)
			}
			s.ask(name, req)
		}
		describe("all", false)
		describe("one client", false, "client-id", 0, "app")
		describe("one client and nobody's else", true, "client-id", 0, "app")
		describe("any user", false, "user", 2, "")
		describe("whoever has none", false, "client-id", 1, "")
		describe("a user who has none", false, "user", 0, "nobody")
		describe("a kind twice", false, "user", 2, "", "user", 2, "")
		describe("an unknown match", false, "user", 7, "")
	})
}

func (s *session) passwords() {
	s.each(kmsg.AlterUserSCRAMCredentials, func(v int16) {
		set := func(name, user string, mechanism int8, iterations int32) {
			req := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
			req.Version = v
			req.Upsertions = []kmsg.AlterUserSCRAMCredentialsRequestUpsertion{
				{Name: user, Mechanism: mechanism, Iterations: iterations, Salt: []byte("salt"), SaltedPassword: make([]byte, 32*int(mechanism))},
			}
			s.ask(name, req)
		}
		set("a password", "ann", 1, 4096)
		set("another mechanism", "ann", 2, 8192)
		set("too few iterations", "ann", 1, 100)
		set("too many iterations", "ann", 1, 1<<30)
		set("an unknown mechanism", "ann", 7, 4096)
		set("a user without name", "", 1, 4096)
		remove := kmsg.NewPtrAlterUserSCRAMCredentialsRequest()
		remove.Version = v
		remove.Deletions = []kmsg.AlterUserSCRAMCredentialsRequestDeletion{{Name: "ann", Mechanism: 2}, {Name: "nobody", Mechanism: 1}}
		s.ask("one is taken away, and one that is not there", remove)
		describe := kmsg.NewPtrDescribeUserSCRAMCredentialsRequest()
		describe.Version = v
		for i, users := range [][]string{{"ann"}, {"nobody"}, {"ann", "ann"}} {
			describe.Users = nil
			for _, name := range users {
				describe.Users = append(describe.Users, kmsg.DescribeUserSCRAMCredentialsRequestUser{Name: name})
			}
			s.ask(fmt.Sprint("question ", i), describe)
		}
		describe.Users = nil
		s.ask("all", describe)
	})
}
