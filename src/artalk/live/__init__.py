"""Out to other tools while somebody speaks: Live Link Face, VMC and iFacialMocap over UDP."""
