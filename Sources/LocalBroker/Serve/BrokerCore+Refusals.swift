// What this broker does not do, refused in the protocol's own words. `ApiKey` says how clients take it.

extension BrokerCore {
    static let noTransactions = "this broker has no transactions; use Apache Kafka for them"
    private static let noACLs = "this broker has no ACLs; use Apache Kafka for them"

    func refuseDescribeACLs(_ request: DescribeAclsRequest) -> DescribeAclsResponse {
        DescribeAclsResponse(error: .securityDisabled, message: Self.noACLs)
    }

    func refuseCreateACLs(_ request: CreateAclsRequest) -> CreateAclsResponse {
        request.refused(.securityDisabled, Self.noACLs)
    }

    func refuseDeleteACLs(_ request: DeleteAclsRequest) -> DeleteAclsResponse {
        request.refused(.securityDisabled, Self.noACLs)
    }

    func refuseAddPartitions(_ request: AddPartitionsToTxnRequest) -> TransactionPartitionsResponse {
        request.refused(.transactionalIdAuthorizationFailed)
    }

    func refuseTransaction() -> TransactionResponse {
        TransactionResponse(error: .transactionalIdAuthorizationFailed)
    }

    func refuseTransactionOffsets(_ request: TxnOffsetCommitRequest) -> TransactionPartitionsResponse {
        request.refused(.transactionalIdAuthorizationFailed)
    }
}
