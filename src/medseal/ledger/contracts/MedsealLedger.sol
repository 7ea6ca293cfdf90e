// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.37;

import {
    AccessControlDefaultAdminRules
} from "@openzeppelin/contracts/access/extensions/AccessControlDefaultAdminRules.sol";
import {AccessPolicy} from "./AccessPolicy.sol";
import {AnchorRegistry} from "./AnchorRegistry.sol";

/// @title medseal ledger
/// @notice One record of who anchored which log, and one set of access rules, for institutions
/// that do not trust one operator. No name, no identifier and no bare digest stands here.
/// @dev The order of the bases puts the flag of `Pausable` and the counter of anchors in one word.
contract MedsealLedger is AnchorRegistry, AccessPolicy {
    // OpenZeppelin accepts strictly after the delay, the rules at the end of the day.
    uint48 private constant _TRANSFER_DELAY = 1 days - 1 seconds;

    /// @notice The account that deploys is the owner.
    constructor() AccessControlDefaultAdminRules(_TRANSFER_DELAY, msg.sender) {}

    /// @notice Anchor the root of the sender's log; refused for a root that is anchored already.
    /// @param root Root of the log, of salted commitments.
    /// @param size Number of entries of the log.
    function anchor(bytes32 root, uint64 size) external {
        _requireRegistrar();
        _anchor(root, size);
    }
}
