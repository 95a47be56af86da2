package kafka

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
	"hash"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Credentials is what is kept of the passwords of users, as Kafka's tools list and change it (KIP-554).
type Credentials interface {
	// Iterations are the iterations of a user's verifiers by mechanism; false if there is no such user.
	Iterations(user string) (map[string]int, bool)
	// Names are the users who have a verifier, in order.
	Names() []string
	// SetVerifiers changes a user's verifiers by mechanism; nil takes one away. A user who does not exist is made, one who may log in and nothing else. Errors: RESOURCE_NOT_FOUND
	// for a verifier to be taken away that is not there.
	SetVerifiers(ctx context.Context, user string, verifiers map[string]*Verifier) error
}

// Bounds of the iterations of a verifier, Kafka's (org.apache.kafka.common.security.scram.internals.ScramMechanism).
const (
	minIterations = 4096
	maxIterations = 16384
)

// The numbers of the mechanisms in requests.
var scramNumbers = map[int8]string{1: MechanismScram256, 2: MechanismScram512}

// describeUserScramCredentials answers key 50, version 0: which users have a password, by which mechanisms.
func describeUserScramCredentials(c *conn, _ context.Context, req *kmsg.DescribeUserSCRAMCredentialsRequest) *kmsg.DescribeUserSCRAMCredentialsResponse {
	resp := req.ResponseKind().(*kmsg.DescribeUserSCRAMCredentialsResponse)
	resp.Results = []kmsg.DescribeUserSCRAMCredentialsResponseResult{}
	if !c.mayCluster(kmsg.ACLOperationAlter) { // who has a password is nobody's business but of those who may change it
		resp.ErrorCode = kerr.ClusterAuthorizationFailed.Code
		return resp
	}
	names := c.server.config.Credentials.Names()
	twice := map[string]bool{}
	if len(req.Users) > 0 {
		twice = duplicates(req.Users, func(u kmsg.DescribeUserSCRAMCredentialsRequestUser) string { return u.Name })
		names = names[:0]
		for _, u := range req.Users {
			names = append(names, u.Name)
		}
		slices.Sort(names)
		names = slices.Compact(names)
	}
	for _, name := range names {
		result := kmsg.NewDescribeUserSCRAMCredentialsResponseResult()
		result.User, result.CredentialInfos = name, []kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo{}
		iterations, _ := c.server.config.Credentials.Iterations(name)
		var err error
		switch {
		case twice[name]:
			err = fmt.Errorf("%w: user %q is named more than once", kerr.DuplicateResource, name)
		case len(iterations) == 0:
			err = fmt.Errorf("%w: there is no user %q with a password", kerr.ResourceNotFound, name)
		default:
			result.CredentialInfos = credentialInfos(iterations)
		}
		result.ErrorCode, result.ErrorMessage = code(err), message(err)
		resp.Results = append(resp.Results, result)
	}
	return resp
}

func credentialInfos(iterations map[string]int) []kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo {
	infos := []kmsg.DescribeUserSCRAMCredentialsResponseResultCredentialInfo{}
	for n := int8(1); int(n) <= len(scramNumbers); n++ {
		if i, ok := iterations[scramNumbers[n]]; ok {
			info := kmsg.NewDescribeUserSCRAMCredentialsResponseResultCredentialInfo()
			info.Mechanism, info.Iterations = n, int32(i)
			infos = append(infos, info)
		}
	}
	return infos
}

// alterUserScramCredentials answers key 51, version 0. The changes of a user are made together or not at all.
func alterUserScramCredentials(c *conn, _ context.Context, req *kmsg.AlterUserSCRAMCredentialsRequest) *kmsg.AlterUserSCRAMCredentialsResponse {
	ctx, cancel := c.timeout(maxWaitMillis)
	defer cancel()
	resp := req.ResponseKind().(*kmsg.AlterUserSCRAMCredentialsResponse)
	changes, names, errs := credentialChanges(req)
	for _, name := range names {
		err := errs[name]
		if mayErr := c.maySetPassword(name); mayErr != nil {
			err = mayErr
		}
		if err == nil {
			err = c.server.config.Credentials.SetVerifiers(ctx, name, changes[name])
		}
		result := kmsg.NewAlterUserSCRAMCredentialsResponseResult()
		result.User, result.ErrorCode, result.ErrorMessage = name, code(err), message(err)
		resp.Results = append(resp.Results, result)
	}
	return resp
}

// maySetPassword refuses changes by those who may not alter the cluster, and of superusers by others than superusers: who sets a password can log in with it.
func (c *conn) maySetPassword(user string) error {
	access := c.server.config.Access
	if !c.mayCluster(kmsg.ACLOperationAlter) {
		return kerr.ClusterAuthorizationFailed
	}
	if access != nil && access.Superuser(user) && !access.Superuser(c.user) {
		return fmt.Errorf("%w: the password of superuser %q is changed by superusers", kerr.ClusterAuthorizationFailed, user)
	}
	return nil
}

// credentialChanges sorts a request by users, in the order in which they come up.
func credentialChanges(req *kmsg.AlterUserSCRAMCredentialsRequest) (changes map[string]map[string]*Verifier, names []string, errs map[string]error) {
	changes, errs = map[string]map[string]*Verifier{}, map[string]error{}
	add := func(user string, number int8, v *Verifier, err error) {
		if changes[user] == nil {
			changes[user] = map[string]*Verifier{}
			names = append(names, user)
		}
		mechanism, known := scramNumbers[number]
		_, again := changes[user][mechanism]
		switch {
		case errs[user] != nil:
		case user == "":
			errs[user] = fmt.Errorf("%w: the user has no name", kerr.UnacceptableCredential)
		case !known:
			errs[user] = fmt.Errorf("%w: mechanism %d; allowed: 1 for %s, 2 for %s", kerr.UnsupportedSaslMechanism, number, MechanismScram256, MechanismScram512)
		case again:
			errs[user] = fmt.Errorf("%w: %s of user %q comes up more than once", kerr.DuplicateResource, mechanism, user)
		default:
			errs[user] = err
		}
		changes[user][mechanism] = v
	}
	for _, d := range req.Deletions {
		add(d.Name, d.Mechanism, nil, nil)
	}
	for i := range req.Upsertions {
		u := &req.Upsertions[i]
		v, err := upserted(u)
		add(u.Name, u.Mechanism, v, err)
	}
	return changes, names, errs
}

// upserted derives a verifier from the salted password that a client sends (RFC 5802 section 3).
func upserted(u *kmsg.AlterUserSCRAMCredentialsRequestUpsertion) (*Verifier, error) {
	newHash := sha256.New
	if u.Mechanism == 2 {
		newHash = sha512.New
	}
	switch {
	case u.Iterations < minIterations || u.Iterations > maxIterations:
		return nil, fmt.Errorf("%w: %d iterations; allowed: %d to %d", kerr.UnacceptableCredential, u.Iterations, minIterations, maxIterations)
	case len(u.Salt) == 0 || len(u.SaltedPassword) != newHash().Size():
		return nil, fmt.Errorf("%w: a salt of %d bytes and a salted password of %d", kerr.UnacceptableCredential, len(u.Salt), len(u.SaltedPassword))
	}
	client := mac(newHash, u.SaltedPassword, "Client Key")
	stored := newHash()
	_, _ = stored.Write(client) // a hash never fails
	return &Verifier{
		Salt: slices.Clone(u.Salt), Iterations: int(u.Iterations), StoredKey: stored.Sum(nil), ServerKey: mac(newHash, u.SaltedPassword, "Server Key"),
	}, nil
}

func mac(newHash func() hash.Hash, key []byte, text string) []byte {
	h := hmac.New(newHash, key)
	_, _ = h.Write([]byte(text)) // a hash never fails
	return h.Sum(nil)
}
