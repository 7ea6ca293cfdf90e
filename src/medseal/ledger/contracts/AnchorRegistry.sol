// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {Pausable} from "@openzeppelin/contracts/utils/Pausable.sol";

/// @title Anchor registry
/// @notice Holds the roots of Merkle logs, each with its size, chained to all anchors before it.
/// @dev A root says nothing about the entries under it: these are salted commitments. Who may
/// anchor is decided by the contract that inherits from this one.
abstract contract AnchorRegistry is Pausable {
    /// @notice Where and when a root was anchored.
    /// @param size Number of entries of the log under the root; 0 for a root that was never anchored.
    /// @param sequence Number of the anchor, from 1.
    /// @param timestamp Seconds since 1970 UTC of its block.
    struct Anchor {
        uint64 size;
        uint64 sequence;
        uint64 timestamp;
    }

    // Number of the next anchor. Stands in one word with the flag of `Pausable`, which saves a cold
    // read; from 1, so that the word is never zero and the first anchor costs no more than others.
    uint64 private _next = 1;

    /// @notice Digest that chains all anchors: keccak256(abi.encode(head before, root, size)).
    bytes32 public head;

    mapping(bytes32 root => Anchor) private _anchors;

    /// @notice A root was anchored.
    /// @param root Root of the log.
    /// @param account Who anchored it: the gateway that keeps the log.
    /// @param size Number of entries of the log.
    /// @param sequence Number of the anchor, from 1.
    /// @param head Chained head after it.
    event Anchored(
        bytes32 indexed root,
        address indexed account,
        uint64 size,
        uint64 sequence,
        bytes32 head
    );

    /// @notice The root is anchored already; one anchor is all that a root needs.
    /// @param root The root.
    error AlreadyAnchored(bytes32 root);

    /// @notice A log without entries has nothing to anchor.
    error EmptyLog();

    constructor() {
        // Bound to this chain and contract: anchors of another place cannot be passed off as these.
        head = keccak256(abi.encode("medseal-anchors/v1", block.chainid, address(this)));
    }

    /// @notice Number of anchors.
    /// @return The number of the last one.
    function anchorCount() external view returns (uint64) {
        return _next - 1;
    }

    /// @notice Where and when a root was anchored; all zero for one that never was.
    /// @param root Root of a log.
    /// @return The anchor.
    function anchorOf(bytes32 root) external view returns (Anchor memory) {
        return _anchors[root];
    }

    /// @dev Anchor a root for the sender; the caller has checked that the sender may.
    function _anchor(bytes32 root, uint64 size) internal whenNotPaused {
        if (size == 0) revert EmptyLog();
        if (_anchors[root].size != 0) revert AlreadyAnchored(root);
        uint64 sequence = _next++;
        bytes32 next = keccak256(abi.encode(head, root, size));
        head = next;
        _anchors[root] = Anchor(size, sequence, uint64(block.timestamp));
        emit Anchored(root, msg.sender, size, sequence, next);
    }
}
