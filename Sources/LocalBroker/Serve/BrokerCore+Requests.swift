// Which request is answered by what. Most are answered at once; those that change something, when the change is on the
// disk; fetches and the requests of group members, when there is something to say.

internal import Platform

extension BrokerCore {
    /// One request, with what answering it later takes: its place in its connection's row of answers.
    struct Call {
        let header: RequestHeader
        let exchange: Exchange

        /// `address:port` of the client.
        var peer: String { exchange.connection?.peer ?? "gone" }
        var peerHost: String { peer.lastIndex(of: ":").map { String(peer[..<$0]) } ?? peer }

        func answer(_ response: some WireEncodable, payloads: [LogSlice] = []) {
            guard let frame = response.frame(answering: header) else { return exchange.fail(.answerTooLarge) }
            exchange.answer(OutgoingFrame(frame, payloads: payloads))
        }
    }

    func handle(
        _ frame: UnsafeMutableRawBufferPointer, from connection: Connection, now: Int64
    ) throws(WireFault) {
        var reader = unsafe WireReader(UnsafeRawBufferPointer(frame))
        let header = try RequestHeader(from: &reader)
        // The whole request is read before it has any effect. A fault closes the connection, so nothing stays open.
        let request = try Request(from: &reader, header: header)
        let call = Call(header: header, exchange: connection.expectAnswer())
        entryBeforeRequest = journal.lastEntry
        switch request {
        case .produce(let request): unsafe produce(request, frame, call)
        case .fetch(let request): fetch(request, call, now: now)
        case .listOffsets(let request): call.answer(listOffsets(request))
        case .deleteRecords(let request): call.answer(deleteRecords(request))
        case .initProducerId(let request): answerWhenDurable(call, initProducerID(request))

        case .apiVersions: call.answer(ApiVersionsResponse(answering: header))
        case .describeCluster(let request): call.answer(describeCluster(request))
        case .metadata(let request): answerWhenDurable(call, metadata(request))
        case .createTopics(let request): answerWhenDurable(call, createTopics(request, version: header.version))
        case .deleteTopics(let request): answerWhenDurable(call, deleteTopics(request, now: now))
        case .createPartitions(let request): answerWhenDurable(call, createPartitions(request))
        case .describeConfigs(let request): call.answer(describeConfigs(request))
        case .alterConfigs(let request): answerWhenDurable(call, alterConfigs(request))
        case .incrementalAlterConfigs(let request): answerWhenDurable(call, incrementalAlterConfigs(request))

        case .findCoordinator(let request): call.answer(findCoordinator(request))
        case .joinGroup(let request): joinGroup(request, call, now: now)
        case .syncGroup(let request): syncGroup(request, call, now: now)
        case .heartbeat(let request): heartbeat(request, call, now: now)
        case .leaveGroup(let request): leaveGroup(request, call, now: now)
        case .offsetCommit(let request): offsetCommit(request, call, now: now)
        case .offsetDelete(let request): offsetDelete(request, call, now: now)
        case .deleteGroups(let request): deleteGroups(request, call, now: now)
        // An offset that is shown must not be gone after a power cut.
        case .offsetFetch(let request): answerWhenDurable(call, offsetFetch(request))
        case .listGroups(let request): call.answer(listGroups(request))
        case .describeGroups(let request): call.answer(describeGroups(request))

        case .saslHandshake: call.answer(SaslHandshakeResponse())
        case .addPartitionsToTxn(let request): call.answer(refuseAddPartitions(request))
        case .addOffsetsToTxn, .endTxn: call.answer(refuseTransaction())
        case .txnOffsetCommit(let request): call.answer(refuseTransactionOffsets(request))
        case .describeAcls(let request): call.answer(refuseDescribeACLs(request))
        case .createAcls(let request): call.answer(refuseCreateACLs(request))
        case .deleteAcls(let request): call.answer(refuseDeleteACLs(request))
        }
    }

    /// When what the answer tells can't be relied on any more, hanging up is the truth: the client asks again, and is told
    /// of the failure.
    private func answerWhenDurable(_ call: Call, _ response: some WireEncodable) {
        whenDurable { isDurable in
            if isDurable { call.answer(response) } else { call.exchange.fail(.noTrueAnswer) }
        }
    }
}

extension OutgoingFrame {
    init(_ frame: WireFrame, payloads: [LogSlice]) {
        bytes = frame.bytes
        slices = frame.splices.map { ($0.position, payloads[$0.payload]) }
    }
}
